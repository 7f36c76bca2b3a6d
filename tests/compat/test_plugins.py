"""What forwards the lines of workers and nannies."""

from __future__ import annotations

import logging
import pickle
import pickletools

from distributed.diagnostics.plugin import NannyPlugin, WorkerPlugin

from leandask import _compat

PLUGINS = _compat.forwarding_plugins(logging.WARNING, "words")


class Server:
    """A worker or nanny that keeps its events."""

    def __init__(self):
        self.events = []

    def log_event(self, topic, msg):
        self.events.append((topic, msg["name"], msg["msg"], msg["levelno"]))


def texts_in(pickled):
    """The texts in a pickle, among them the names of all modules that it imports."""
    return {arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)}


def test_forwarding_plugins_import_nothing_that_a_worker_may_lack():
    worker, nanny = PLUGINS
    upstream = "distributed.diagnostics.plugin"
    assert upstream in texts_in(worker) & texts_in(nanny)
    modules = {"builtins", "operator", "toolz.functoolz", upstream}
    for text in texts_in(worker) | texts_in(nanny):
        assert "leandask" not in text
        assert "." not in text or text in {*modules, "distributed.nanny"}


def test_forwarding_plugins_are_what_workers_and_nannies_take():
    worker, nanny = map(pickle.loads, PLUGINS)
    assert isinstance(worker, WorkerPlugin)
    assert isinstance(nanny, NannyPlugin) and not nanny.restart
    server = Server()
    for plugin, role, name in (
        (worker, "worker", "distributed.worker.memory"),
        (nanny, "nanny", "distributed.nanny.memory"),
    ):
        plugin.setup(**{role: server})
        logging.getLogger(name).info("one")
        logging.getLogger(name).warning("two %s", 2)
        plugin.teardown(**{role: server})
        logging.getLogger(name).warning("three")
        assert server.events.pop() == ("words", name, "two 2", logging.WARNING)
        assert not server.events
