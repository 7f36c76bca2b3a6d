from __future__ import annotations

import json
import logging
import platform
import re
import time

import dask
import distributed
import pytest
from distributed import Client, Lock, Scheduler
from distributed.utils_test import gen_test, inc

import leandask
from leandask import Retention, install
from leandask.records.drain import WARNINGS
from leandask.serving.report import report_of, rss_peak
from leandask.settings.budget import COSTS
from leandask.settings.memorylimit import find_limit
from tests.helpers.schedulers import LOCAL, lean, lean_cluster


def holding(s, name):
    return report_of(s)["histories"][name]


def kept_and_seen(s, name):
    return holding(s, name)["kept"], holding(s, name)["seen"]


@gen_test()
async def test_a_report_has_plain_json_values_and_identifies_the_scheduler():
    before = time.time()
    async with lean() as s, Client(s.address, asynchronous=True):
        report = report_of(s)
        assert json.loads(json.dumps(report, allow_nan=False)) == report
        assert report["scheduler_id"] == s.id
        assert report["address"] == s.address
        assert report["versions"] == {
            "leandask": leandask.__version__,
            "distributed": distributed.__version__,
            "dask": dask.__version__,
            "python": platform.python_version(),
        }
        assert (report["workers"], report["clients"]) == (0, 1)
        assert 0 < report["uptime_seconds"] < time.time() - before + 0.1
        for name in ("started", "timestamp"):
            assert re.fullmatch(r"\d{4}-..-..T..:..:..\.\d{6}Z", report[name])
        assert report["started"] < report["timestamp"]


@gen_test()
async def test_a_report_has_every_history():
    async with lean() as s:
        histories = report_of(s)["histories"]
        fields = set(Retention.__dataclass_fields__) - {"error_length", "budget"}
        assert set(histories) == {name.replace("_", "-") for name in fields}
        for name, history in histories.items():
            assert history["bound"] == getattr(s.retention, name.replace("-", "_"))
            if name not in ("events", "messages"):
                assert history["bound_bytes"] == history["bound"] * COSTS[name].nbytes


@gen_test()
async def test_events_are_counted():
    async with lean(retention={"events": 10, "topics": 3}) as s:
        topics = s._broker.topics
        base = kept_and_seen(s, "events"), kept_and_seen(s, "topics")
        assert base == ((0, 0), (0, 0))
        for _ in range(15):
            s.log_event("x", "text")
        assert kept_and_seen(s, "events") == (10, 15)
        assert holding(s, "events")["bytes"] == topics.nbytes > 0
        assert holding(s, "events")["bound_bytes"] == s.retention.event_bytes
        assert holding(s, "event-bytes")["kept"] == topics.nbytes
        for name in "abc":
            s.log_event(name, 1)
        # Events of an evicted topic still count as seen.
        assert kept_and_seen(s, "events") == (3, 18)
        assert kept_and_seen(s, "topics") == (3, 4)
        assert holding(s, "events")["holders"] == 3


@gen_test()
async def test_unbounded_histories_have_no_bound_and_estimated_bytes():
    retention = {"event-bytes": None, "events": None, "spans": None}
    async with lean(retention=retention) as s:
        s.log_event("x", 1)
        for name in ("events", "event-bytes", "spans"):
            assert holding(s, name)["bound"] is None
            assert holding(s, name)["bound_bytes"] is None
        assert holding(s, "events")["bytes"] == COSTS["events"].nbytes
        assert holding(s, "event-bytes")["kept"] == COSTS["events"].nbytes


@gen_test()
async def test_histories_of_tasks_are_counted():
    retention = {"transition-log": 5, "erred-tasks": 2, "messages": 10}
    async with lean_cluster(retention=retention) as (s, c):
        await c.get_task_stream()
        await c.gather(c.map(inc, range(10)), errors="skip")
        await c.gather([c.submit(fail, i) for i in range(3)], errors="skip")
        async with Lock("x"):
            assert kept_and_seen(s, "locks") == (1, 1)
        transitions = s.transition_counter
        assert kept_and_seen(s, "transition-log") == (5, transitions)
        assert kept_and_seen(s, "erred-tasks") == (2, 3)
        assert kept_and_seen(s, "task-stream") == (13, 13)
        assert kept_and_seen(s, "task-prefixes") == (2, 2)
        assert kept_and_seen(s, "computations") == (
            len(s.computations),
            s.computations.seen,
        )
        assert kept_and_seen(s, "spans") == (len(s.extensions["spans"].spans),) * 2
        assert kept_and_seen(s, "samples") == (s.monitor.count,) * 2
        kept, seen = kept_and_seen(s, "key-cache")
        assert 13 <= kept <= seen
        messages = holding(s, "messages")
        assert messages["kept"] > 0
        assert messages["seen"] is None
        assert messages["holders"] == 2
        assert messages["bound_bytes"] == 10 * 2 * COSTS["messages"].nbytes
        assert report_of(s)["tasks"] == len(s.tasks)


def fail(i):
    raise ValueError(i)


@gen_test()
async def test_log_records_and_departed_clients_are_counted():
    async with lean(retention={"log-records": 2}) as s:
        kept, seen = kept_and_seen(s, "log-records")
        logging.getLogger("distributed.scheduler").warning("one more")
        assert kept_and_seen(s, "log-records") == (2, seen + 1)
        assert kept == 2
        async with Client(s.address, asynchronous=True):
            assert kept_and_seen(s, "departed") == (0, 0)
        kept, seen = kept_and_seen(s, "departed")
        assert kept == seen >= 1


@gen_test()
async def test_memory_is_that_of_the_process():
    async with lean() as s:
        memory = report_of(s)["memory"]
        assert 2**20 < memory["rss"] <= memory["rss_peak"]
        limit = find_limit()
        assert (memory["limit"], memory["limit_source"]) == limit


@gen_test()
async def test_without_a_guard_no_limit_is_looked_for():
    with dask.config.set({"leandask.memory.limit": None}):
        async with lean() as s:
            memory = report_of(s)["memory"]
            assert (memory["limit"], memory["limit_source"]) == (None, None)


def test_the_peak_is_known_without_proc(tmp_path):
    no_file = str(tmp_path / "status")
    assert rss_peak(status=no_file) == pytest.approx(rss_peak(), rel=0.5)
    assert rss_peak(2**60, no_file) == 2**60


@gen_test()
async def test_the_last_warnings_come_newest_first():
    async with lean() as s:
        s.log_event("x", 1)
        for i in range(WARNINGS + 5):
            s.stream.life("test", f"warning {i} {'x' * 500}", {}, logging.WARNING)
        s.stream.life("test", "<b>\n", {}, logging.ERROR)
        s.stream.life("test", "the last", {}, logging.INFO)
        s.stream.close()
        assert report_of(s)["stream"]["written"] >= WARNINGS + 7
        warnings = report_of(s)["warnings"]
        assert len(warnings) == WARNINGS
        assert warnings[0] | {"timestamp": ""} == {
            "timestamp": "",
            "severity": "ERROR",
            "message": "<b>\\n",
        }
        assert warnings[1]["message"].startswith(f"warning {WARNINGS + 4} x")
        assert all(len(warning["message"]) <= 250 for warning in warnings)
        assert warnings[0]["timestamp"] > warnings[-1]["timestamp"]


@gen_test()
async def test_a_report_has_the_counters_of_the_event_log(tmp_path):
    path = tmp_path / "events.jsonl"
    with dask.config.set({"leandask.event-log.path": str(path)}):
        async with lean() as s:
            assert report_of(s)["event_log"]["lines_written"] == 0
            s.stream.life("test", "flushed at once", {}, logging.WARNING)
            s.stream.close()
            log = report_of(s)["event_log"]
            assert log == {
                "path": str(path),
                "lines_written": len(path.read_text().splitlines()),
                "bytes_written": path.stat().st_size,
                "lines_lost": 0,
                "errors": 0,
                "failing": False,
                "archive": None,
            }
            assert log["lines_written"] >= 2
    async with lean() as s:
        assert report_of(s)["event_log"] is None


@gen_test()
async def test_a_report_has_the_counters_of_housekeeping():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        await s.extensions["leandask"].housekeeping.run()
        await leandask.give_back(c)
        report = report_of(s)
        assert report["housekeeping"]["rounds"] == 1
        assert report["housekeeping"]["errors"] == 0
        assert report["housekeeping"]["longest_pause"] > 0
        assert report["give_back"]["count"] == 1
        assert report["give_back"]["longest_pause"] > 0
        # Giving back collects.
        assert 0 < report["garbage"]["longest_pause"] <= report["garbage"]["seconds"]
        assert report["stream"] == s.stream.stats()


@gen_test()
async def test_an_asynchronous_client_gets_a_report():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        s.log_event("x", 1)
        report = await leandask.get_report(c)
        assert report["scheduler_id"] == s.id
        assert report["histories"]["events"]["seen"] >= 1


def test_a_synchronous_client_gets_a_report(start):
    _, file = start()
    with Client(scheduler_file=str(file)) as client:
        assert leandask.get_report(client)["clients"] == 1


@gen_test()
async def test_a_scheduler_made_lean_by_install_has_a_report():
    async with Scheduler(**LOCAL) as s:
        s.log_event("x", 1)
        install(s)
        assert kept_and_seen(s, "events") == (1, 1)
        async with Client(s.address, asynchronous=True) as c:
            assert (await leandask.get_report(c))["scheduler_id"] == s.id


@gen_test()
async def test_a_report_holds_the_event_loop_for_a_short_time():
    async with lean() as s:
        for i in range(1000):
            s.log_event(f"topic-{i}", 1)
        times = []
        for _ in range(50):
            begun = time.thread_time()
            report_of(s)
            times.append(time.thread_time() - begun)
        assert min(times) < 0.01  # 0.0003 on an idle machine


@gen_test()
async def test_a_scheduler_has_no_address_before_its_start():
    s = lean()
    try:
        assert report_of(s)["address"] is None
    finally:
        await s.close()


@gen_test()
async def test_warnings_are_left_out_where_events_are_blocked(collected):
    for blocked, expected in ([], 1), (["events"], 0):
        async with lean(blocked_handlers=blocked) as s:
            s.log_event("warn", "secret")
            s.stream.catch_up(10)
            assert len(report_of(s)["warnings"]) == expected
