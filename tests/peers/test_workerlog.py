from __future__ import annotations

import io
import itertools
import json
import logging
import os
import time
from contextlib import asynccontextmanager

import dask
import pytest
from distributed import Client, Worker
from distributed.core import rpc
from distributed.diagnostics.plugin import ForwardLoggingPlugin
from distributed.protocol.pickle import dumps
from distributed.utils_test import gen_test

from leandask import LogReader, get_report
from leandask.cli.console import Console
from leandask.cli.reportlines import report_lines
from leandask.peers import workerlog
from leandask.records.loggers import OWN, WORKERS
from leandask.records.schema import LINES_DROPPED, WORKER_LOG
from tests.helpers.schedulers import lean, run_housekeeping, until

_moments = itertools.count(1_795_000_000)


def line(text="words", name="distributed.worker", level=logging.WARNING, **changed):
    """A line of another process, as upstream's plugin sends it."""
    record = logging.LogRecord(name, level, "x.py", 1, text, None, None)
    other = {"process": os.getpid() + 1, "created": float(next(_moments))}
    return record.__dict__ | other | changed


@asynccontextmanager
async def cluster(tmp_path, **settings):
    """Yield a scheduler with an event log, and its worker."""
    path = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    with dask.config.set(path | settings):
        async with lean() as s, Worker(s.address, dashboard=False) as w:
            yield s, w


@pytest.fixture
def console():
    """What is on the console of leandask-scheduler, while it is attached."""
    handler = Console()
    handler.setStream(io.StringIO())
    OWN.addHandler(handler)
    yield handler.stream
    OWN.removeHandler(handler)


def log_of(s):
    return s.extensions["leandask"].worker_log


def said(s):
    """What workers and nannies have logged."""
    return [msg["message"] for _, msg in s.get_events(WORKER_LOG)]


def records(tmp_path, **filters):
    return list(LogReader(tmp_path / "log.jsonl").records(**filters))


@gen_test()
async def test_lines_of_workers_are_in_the_event_log_and_not_on_the_console(
    tmp_path, console
):
    async with cluster(tmp_path) as (s, w):
        w.log_event(WORKER_LOG, line("is at 81%", "distributed.worker.memory"))
        w.log_event(WORKER_LOG, line("broke", level=45, exc_text="Trace\nback"))
        await until(lambda: len(said(s)) == 2)
        address = w.address
    assert "81%" not in str(s.stream.warnings())
    memory, broken = records(tmp_path, topic=WORKER_LOG)
    assert memory["logger"] == WORKERS.name
    assert (memory["severity"], broken["severity"]) == ("WARNING", "ERROR")
    assert memory["worker"] == address
    text = "distributed.worker.memory - is at 81%"
    assert memory["message"] == f"{address}: {text}"
    payload = json.loads(broken["payload"])
    assert payload.pop("time") > 1_795_000_000
    assert payload == {
        "worker": address,
        "host": "127.0.0.1",
        "pid": os.getpid() + 1,
        "logger": "distributed.worker",
        "level": "ERROR",
        "message": "broke",
        "traceback": "Trace\nback",
    }
    assert "add-worker" in console.getvalue() and "81%" not in console.getvalue()


@gen_test()
async def test_too_many_lines_are_dropped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(workerlog, "RATE", 0.001)
    monkeypatch.setattr(workerlog, "BURST", 5)
    monkeypatch.setattr(workerlog, "TOTAL_RATE", 0.001)
    monkeypatch.setattr(workerlog, "TOTAL_BURST", 8)
    async with cluster(tmp_path) as (s, w), Worker(s.address) as other:
        async with Client(s.address, asynchronous=True) as c:
            for i in range(20):
                w.log_event(WORKER_LOG, line(f"{i}"))
            await until(lambda: log_of(s).dropped == 15)
            for i in range(20):
                other.log_event(WORKER_LOG, line(f"other {i}"))
            await until(lambda: log_of(s).dropped == 32)
            w.log_event(WORKER_LOG, line("last words", "distributed.worker.memory"))
            await until(lambda: said(s)[-1] == "last words")
            assert said(s)[:5] == [*"01234"] and len(said(s)) == 9
            for _ in range(2):
                await run_housekeeping(s)
            report = await get_report(c)
    assert report["worker_log"] == {"lines": 9, "dropped": 32}
    assert "lines of workers: 9, 32 dropped" in report_lines(report)
    [dropped] = records(tmp_path, event_name=LINES_DROPPED)
    assert dropped["severity"] == "WARNING"
    assert dropped["lines_dropped_total"] == dropped["lines_dropped_since_last"] == 32


@gen_test()
async def test_nothing_is_kept_of_a_worker_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(workerlog, "RATE", 1000.0)
    monkeypatch.setattr(workerlog, "MARKS", 10)
    async with cluster(tmp_path) as (s, w):
        for i in range(20):
            w.log_event(WORKER_LOG, line(f"{i}"))
        await until(lambda: len(said(s)) == 20)
        assert len(log_of(s)._marks) == 10
        await w.close()
        await until(lambda: len(log_of(s)._each) == 0 or log_of(s).report_dropped())


HOSTILE = [
    None,
    "text",
    ["x"],
    {},
    line(name=None),
    line(msg=["x"]),
    line(msg=None),
    line(process="x"),
    line(process=None),
    line(created={}),
    line(created=10**400),
    line(levelno="high"),
]


@gen_test()
async def test_whatever_a_worker_sends_is_one_line_at_most(tmp_path):
    async with cluster(tmp_path) as (s, w):
        for msg in HOSTILE:
            log_of(s).log_worker_event(w.address, WORKER_LOG, msg)
        assert s.stream.stats()["errors"] == len(HOSTILE)
        forged = 'a\n{"seq":1,"event_name":"dask.scheduler.stop"}\x1b[2J\u202e\ud800'
        for text in (forged, "long " * 1_000_000):
            msg = line(text, name=text, exc_text=text)
            log_of(s).log_worker_event(w.address, WORKER_LOG, msg)
    lines = (tmp_path / "log.jsonl").read_bytes().splitlines()
    assert max(map(len, lines)) < 16 * 1024
    found = records(tmp_path)
    assert len(found) == len(lines)
    assert [r["event_name"] for r in found].count("dask.scheduler.stop") == 1
    short, long = records(tmp_path, topic=WORKER_LOG)
    assert r'a\n{"seq":1' in short["message"] and r"\x1b[2J\u202e" in short["message"]
    assert len(json.loads(long["payload"])["message"]) == 1001
    for raw in lines:
        assert b"\x1b" not in raw and "\u202e".encode() not in raw


@pytest.mark.parametrize("word", ["a", "é", "a:", "a://"])
@gen_test()
async def test_no_line_takes_a_millisecond_of_the_event_loop(tmp_path, word):
    async with cluster(tmp_path) as (s, _), rpc(s.address) as nanny:
        take, times = s.handlers["log_event"], []

        def take_timed(comm, topic, msg):
            begun = time.thread_time()
            take(comm, topic, msg)
            times.append(time.thread_time() - begun)

        s.handlers["log_event"] = take_timed
        for _ in range(20):
            await nanny.log_event(topic=WORKER_LOG, msg=line(word * 5000))
        assert len(said(s)) == len(times) == 20
        assert min(times) < 0.001


@gen_test()
async def test_a_line_of_several_workers_in_one_process_is_one(tmp_path):
    async with cluster(tmp_path) as (s, _), Worker(s.address):
        logging.getLogger("distributed.scheduler").warning("the scheduler's")
        logging.getLogger("distributed.worker.memory").warning("a worker's")
        logging.getLogger("distributed.worker").warning("the last")
        await until(lambda: said(s)[-1:] == ["the last"])
        assert said(s) == ["a worker's", "the last"]
        assert {msg["worker"] for _, msg in s.get_events(WORKER_LOG)} == {None}


@gen_test()
async def test_a_line_of_a_nanny_names_the_worker_that_is_in_it(tmp_path):
    async with cluster(tmp_path) as (s, w), rpc(s.address) as nanny:
        exceeded = f"Worker {w.address} (pid=7) exceeded 95% memory budget."
        copy = line(exceeded, "distributed.nanny.memory")
        for msg in (copy, copy, line("Restarting", "distributed.nanny")):
            await nanny.log_event(topic=WORKER_LOG, msg=msg)
        await nanny.log_event(topic=["mine", "yours"], msg="as before")
        assert said(s) == [exceeded, "Restarting"]
        named, unnamed = [msg for _, msg in s.get_events(WORKER_LOG)]
        assert (named["worker"], unnamed["worker"]) == (w.address, None)
        assert named["host"] == unnamed["host"] == "127.0.0.1"
        assert [msg for _, msg in s.get_events("yours")] == ["as before"]


@pytest.mark.parametrize("key", ["event-log.path", "workers.log-level"])
@gen_test()
async def test_without_an_event_log_or_a_level_workers_send_nothing(tmp_path, key):
    async with cluster(tmp_path, **{f"leandask.{key}": None}) as (s, _):
        assert log_of(s) is None
        assert WORKER_LOG not in s.worker_plugins and WORKER_LOG not in s.nanny_plugins
        assert s.handlers["log_event"] == s.log_event
        assert s.stream_handlers["log-event"] == s.log_worker_event


@gen_test()
async def test_where_clients_may_log_no_events_nannies_send_nothing(tmp_path):
    blocked = {"distributed.scheduler.blocked-handlers": ["log_event"]}
    async with cluster(tmp_path, **blocked) as (s, _):
        assert WORKER_LOG in s.worker_plugins and WORKER_LOG not in s.nanny_plugins


@gen_test()
async def test_the_level_is_the_users(tmp_path):
    async with cluster(tmp_path, **{"leandask.workers.log-level": "debug"}) as (s, _):
        logger = logging.getLogger("distributed.worker")
        before = logger.level
        logger.setLevel(logging.DEBUG)
        try:
            logger.debug("a detail")
        finally:
            logger.setLevel(before)
        await until(lambda: "a detail" in said(s))
        s.log_event(WORKER_LOG, "what is no line")
    details = records(tmp_path, topic=WORKER_LOG)
    assert "DEBUG" in {r["severity"] for r in details}
    assert f"{WORKER_LOG}: what is no line" in {r["message"] for r in details}


@gen_test()
async def test_another_plugin_that_forwards_lines_goes_on_working(tmp_path):
    async with cluster(tmp_path) as (s, _):
        theirs = ForwardLoggingPlugin("distributed.worker", logging.WARNING, "theirs")
        await s.register_worker_plugin(None, dumps(theirs), "theirs", idempotent=False)
        logging.getLogger("distributed.worker").warning("for both")
        await until(lambda: s.get_events("theirs") and said(s))
        await s.unregister_worker_plugin(None, WORKER_LOG)
        logging.getLogger("distributed.worker").warning("for them")
        await until(lambda: len(s.get_events("theirs")) == 2)
        assert said(s) == ["for both"]
        assert [msg["msg"] for _, msg in s.get_events("theirs")] == [
            "for both",
            "for them",
        ]
