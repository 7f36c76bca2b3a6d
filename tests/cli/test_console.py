from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from collections import Counter
from contextlib import redirect_stderr
from types import SimpleNamespace

import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test

from leandask.cli.console import PUBLISHED_TWICE, Console, writes_to_console
from leandask.records.loggers import EVENTS, OWN, TRANSITIONS
from tests.helpers.handlers import Collector
from tests.helpers.schedulers import lean, until


@pytest.fixture
def make_console():
    """Make a console that writes to a StringIO, at our logger."""
    made = []

    def make(json=False):
        with redirect_stderr(io.StringIO()) as stderr:
            console = Console(json)
        made.append(console)
        OWN.addHandler(console)
        return stderr

    yield make
    for console in made:
        OWN.removeHandler(console)


async def join_and_leave(scheduler):
    """Have a worker and a client join, restart and leave."""
    async with Worker(scheduler.address, dashboard=False) as worker:
        async with Client(scheduler.address, asynchronous=True) as client:
            await client.scatter([1])
            await scheduler.restart_workers(
                [worker.address],
                client=client.id,
                wait_for_workers=False,
                stimulus_id="test",
            )


@pytest.mark.parametrize("is_json", [False, True])
@gen_test()
async def test_an_event_under_two_topics_is_one_line_of_text_and_two_of_json(
    make_console, collected, is_json
):
    stderr = make_console(is_json)
    async with lean() as s:
        await join_and_leave(s)
        s.log_event(["mine", "yours", "all"], {"action": "greet"})
        for _ in range(2):  # two events, not one
            s.log_event("mine", {"action": "twice"})
    records = [r for r in collected if r.name == "leandask.events"]
    lines = stderr.getvalue().splitlines()
    if is_json:
        numbers = [json.loads(line)["seq"] for line in lines if '"seq"' in line]
        assert numbers == [r.seq for r in records]
        return
    counts = Counter(line.partition(": ")[2].partition(" ")[0] for line in lines)
    twice = {"add-client", "remove-client", "scatter", *PUBLISHED_TWICE}
    published = Counter(r.action for r in records if hasattr(r, "action"))
    assert twice <= {*published}
    for action in twice:
        assert published[action] == 2 * counts[action] > 0, action
    assert (published["greet"], counts["greet"]) == (3, 1)
    assert (published["twice"], counts["twice"]) == (2, 2)
    assert "all: add-worker worker=" in stderr.getvalue()


@gen_test()
async def test_what_is_published_twice_has_all_of_it_under_all(collected):
    """So that the line under the topic of the worker or client can be left out."""
    async with lean() as s:
        await join_and_leave(s)
    events = [r for r in collected if getattr(r, "action", None) in PUBLISHED_TWICE]
    assert {r.action for r in events} == PUBLISHED_TWICE
    of_all = [json.loads(r.payload) for r in events if r.topic == "all"]
    for record in events:
        if record.topic != "all":
            name = "worker" if record.worker else "client"
            assert json.loads(record.payload) | {name: record.topic} in of_all


#: Lets the tasks of the test below end, as they run in this process.
GO = threading.Event()


def wait_for_go():
    assert GO.wait(30)


@gen_test()
async def test_the_line_of_a_lost_worker_names_a_task(make_console):
    stderr = make_console()
    keys = [f"culprit-{i}" for i in range(1, 5)]
    async with lean() as s, Worker(s.address, nthreads=4, dashboard=False) as w:
        async with Client(s.address, asynchronous=True) as client:
            tasks = [client.submit(wait_for_go, key=key, pure=False) for key in keys]
            await until(lambda: len(s.workers[w.address].processing) == len(tasks))
            await s.remove_worker(w.address, stimulus_id="test")
            GO.set()
    [line] = [x for x in stderr.getvalue().splitlines() if ": remove-worker " in x]
    assert f"worker={w.address} processing-tasks=culprit-1 (+3 more)" in line
    assert " - WARNING - all: remove-worker " in line


def test_a_line_that_another_handler_shows_is_left_to_it(make_console):
    stderr = make_console()
    others = [logging.StreamHandler(sys.stdout), Collector()]  # one of the console
    for handler in others:
        EVENTS.addHandler(handler)
    try:
        EVENTS.warning("once")
        others[0].setLevel(logging.ERROR)
        EVENTS.warning("above its level")
        others[0].setLevel(logging.INFO)
        others[0].addFilter(lambda record: False)
        EVENTS.warning("filtered")
    finally:
        for handler in others:
            EVENTS.removeHandler(handler)
    lines = [line.split(" - ")[-1] for line in stderr.getvalue().splitlines()]
    assert lines == ["above its level", "filtered"]
    assert len(others[1].records) == 3


def test_it_shows_no_transitions(make_console, all_transitions):
    stderr = make_console()
    TRANSITIONS.debug("x: waiting -> processing")
    assert stderr.getvalue() == ""


def test_which_handlers_write_to_the_console(tmp_path):
    # A file of the test in place of a device of the machine.
    with open(tmp_path / "console", "w") as file:
        stdout = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            for handler, expected in (
                (logging.StreamHandler(sys.stdout), True),
                (logging.StreamHandler(sys.stderr), True),
                (logging.FileHandler(tmp_path / "console"), True),
                (SimpleNamespace(console=SimpleNamespace(file=sys.stdout)), True),
                (logging.FileHandler(tmp_path / "log"), False),
                (logging.StreamHandler(io.StringIO()), False),
                (logging.NullHandler(), False),
            ):
                assert writes_to_console(handler) is expected, handler
                getattr(handler, "close", lambda: None)()
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)


CONFIGURE = """
import logging
{}logging.basicConfig(level="INFO", format="root: %(message)s")
"""
SETUP = "def dask_setup(scheduler): "


@pytest.mark.parametrize(
    ("name", "start_of_line"), [("sitecustomize", ""), ("pre", ""), ("pre", SETUP)]
)
def test_a_line_is_shown_once_if_the_root_is_configured(
    start, tmp_path, name, start_of_line
):
    """Before, and, as the last one, after our own console is made."""
    (tmp_path / f"{name}.py").write_text(CONFIGURE.format(start_of_line))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    flags = ["--preload", "pre"] if name == "pre" else []
    scheduler, file = start(*flags, PYTHONPATH=path)
    with Client(scheduler_file=str(file)) as client:
        client.log_event("mine", "hello")
    assert scheduler.stop() == 0
    lines = scheduler.stderr.splitlines()
    assert [line for line in lines if "mine: hello" in line] == ["root: mine: hello"]
    [line] = [line for line in lines if "scheduler started at" in line]
    assert line.startswith("root: ")


def test_every_line_is_json_if_a_preload_configures_the_root(start, tmp_path):
    (tmp_path / "pre.py").write_text(CONFIGURE.format(SETUP))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    scheduler, file = start("--preload=pre", "--log-format=json", PYTHONPATH=path)
    with Client(scheduler_file=str(file)) as client:
        client.log_event(["mine", "yours"], "hello")
    assert scheduler.stop() == 0
    lines = [json.loads(line) for line in scheduler.stderr.splitlines()]
    numbers = [line["seq"] for line in lines if "seq" in line]
    assert numbers == list(range(1, len(numbers) + 1))
