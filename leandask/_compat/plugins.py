"""Plugins that forward what workers and nannies log, made of upstream's parts only.

A plugin is unpickled where it runs, and workers and nannies have no leandask.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from distributed.diagnostics.plugin import ForwardLoggingPlugin, NannyPlugin
from distributed.protocol.pickle import dumps
from toolz import compose


def forwarding_plugins(level: int, topic: str) -> tuple[bytes, bytes]:
    """``ForwardLoggingPlugin`` (diagnostics/plugin.py), pickled: for workers, nannies.

    A nanny takes only a NannyPlugin, and calls ``setup(nanny=...)``. The forwarding one
    is a WorkerPlugin with ``setup(worker)``, so functions that every nanny has pass the
    nanny on. A nanny sends events from its event loop alone, and other loggers of its
    process may be used in threads: only its own is forwarded.
    """
    worker = ForwardLoggingPlugin("distributed", level, topic)
    forward = ForwardLoggingPlugin("distributed.nanny", level, topic)
    nanny: Any = NannyPlugin()
    nanny.setup = compose(forward.setup, itemgetter("nanny"), dict)
    nanny.teardown = compose(forward.teardown, itemgetter("nanny"), dict)
    return dumps(worker), dumps(nanny)
