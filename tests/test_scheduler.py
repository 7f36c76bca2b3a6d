from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from functools import partial

import dask
import dask.array as da
import pytest
import yaml
from distributed import (
    Client,
    Scheduler,
    Security,
    Worker,
    comm,
    performance_report,
)
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.utils_test import gen_test, inc

import leandask
from leandask import LeanScheduler, Retention, install
from leandask.histories import monitor
from leandask.records.loggers import EVENTS, TRANSITIONS
from tests.helpers.schedulers import LOCAL, fetch, lean

connect = partial(Client, asynchronous=True)


def fail(message):
    raise ValueError(message)


class Events:
    """The LogRecords of events in a list of LogRecords."""

    def __init__(self, collected):
        self.collected = collected

    def __iter__(self):
        return (r for r in self.collected if r.event_name == "dask.event")

    def __len__(self):
        return sum(1 for _ in self)


@pytest.fixture
def events(collected):
    return Events(collected)


@gen_test()
async def test_it_is_a_scheduler_and_computes_what_upstream_does():
    async with lean() as s, Worker(s.address), connect(s.address) as c:
        assert isinstance(s, Scheduler)
        assert await c.submit(inc, 1) == 2
        x = da.arange(1000, chunks=100)
        assert await c.compute((x + 1).sum()) == 500500


@gen_test()
async def test_every_history_is_bounded_and_counts_what_it_saw():
    bounds = {
        "transition-log": 11,
        "computations": 3,
        "erred-tasks": 4,
        "error-length": 30,
        "messages": 2,
        "log-records": 6,
        "task-stream": 7,
    }
    async with lean(retention=bounds) as s, Worker(s.address), connect(s.address) as c:
        await c.get_task_stream()  # starts the plugin
        for i in range(10):
            assert await c.submit(inc, i) == i + 1
        futures = [c.submit(fail, "x" * 1000 + str(i)) for i in range(10)]
        await c.gather(futures, errors="skip")

        assert (len(s.transition_log), s.transition_log.maxlen) == (11, 11)
        assert s.transition_log.seen == s.transition_counter
        assert s.transition_log[-1].timestamp == s.transition_log[-1][-1]
        assert (len(s.computations), s.computations.seen >= 10) == (3, True)
        assert (len(s.erred_tasks), s.erred_tasks.seen) == (4, 10)
        assert {len(e.exception_text) for e in s.erred_tasks} == {30}
        assert max(len(e.traceback_text) for e in s.erred_tasks) <= 30
        live = s.tasks[futures[0].key]
        assert len(live.exception_text) > 1000
        for stream in [*s.stream_comms.values(), *s.client_comms.values()]:
            assert stream.recent_message_log.maxlen == 2
            assert stream.batch_count > 2
        assert len(await c.get_task_stream()) == 7
        assert s.plugins["task-stream"].index == 20
        assert len(await c.get_scheduler_logs()) == 6


@gen_test()
async def test_a_smaller_upstream_setting_of_the_user_wins():
    own = {
        "distributed.admin.low-level-log-length": 5,
        "distributed.admin.log-length": 4,
        "distributed.diagnostics.computations.max-history": 2,
    }
    with dask.config.set(own):
        async with lean(retention={"events": 50, "computations": 10}) as s:
            assert s.retention.events == 5
            s.log_event("x", 1)
            assert s._broker.topics["x"].events.maxlen == 5
            assert (s.transition_log.maxlen, s.computations.maxlen) == (5, 2)
            assert s.retention.log_records == 4


@gen_test()
async def test_a_task_stream_that_keeps_less_is_left_as_it_is():
    async with lean() as s:
        s.add_plugin(TaskStreamPlugin(s, maxlen=50))
        assert s.plugins["task-stream"].buffer.maxlen == 50


@pytest.mark.parametrize("bounds", [{"events": -1}, {"events": True}, {"nope": 1}])
@gen_test()
async def test_a_bad_bound_is_refused_before_anything_starts(bounds):
    before = set(Scheduler._instances)
    with pytest.raises((TypeError, ValueError), match=r"retention.* must "):
        lean(retention=bounds)
    assert set(Scheduler._instances) == before


@gen_test()
async def test_a_start_that_fails_leaves_no_event_log_open(tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("no samples")

    monkeypatch.setattr(monitor, "resize_samples", fail)
    before = EVENTS.handlers[:], TRANSITIONS.level
    settings = {
        "leandask.event-log.path": str(tmp_path / "log"),
        "leandask.stream.transitions": True,
    }
    with dask.config.set(settings), pytest.raises(RuntimeError, match="no samples"):
        lean()
    assert (EVENTS.handlers, TRANSITIONS.level) == before


@gen_test()
async def test_a_bad_setting_is_refused_by_its_key():
    with dask.config.set({"leandask.stream.queue-length": "many"}):
        with pytest.raises(TypeError, match=r"leandask\.stream\.queue-length must be"):
            lean()


@gen_test()
async def test_the_effective_retention_is_logged_once_and_can_be_read(caplog):
    with caplog.at_level(logging.INFO, logger="leandask"):
        async with lean(retention=Retention(events=7)) as s:
            assert s.retention.events == 7
    lines = [r.getMessage() for r in caplog.records if "Retention" in r.msg]
    assert len(lines) == 1
    assert "events 7, topics 1000" in lines[0]


@pytest.mark.parametrize("is_installed", [False, True])
@gen_test()
async def test_an_unknown_key_is_logged_once(is_installed, caplog):
    with dask.config.set({"leandask.event-log.pth": "x"}):
        async with Scheduler(**LOCAL) if is_installed else lean() as s:
            install(s)
    lines = [r.getMessage() for r in caplog.records if "not a setting" in r.msg]
    assert lines == ["leandask.event-log.pth is not a setting"]


@gen_test()
async def test_a_bad_upstream_setting_is_refused_before_anything_starts():
    before = set(Scheduler._instances)
    with dask.config.set({"distributed.admin.log-length": -1}):
        with pytest.raises(ValueError, match=r"^distributed\.admin\.log-length must"):
            lean()
    assert set(Scheduler._instances) == before


@gen_test()
async def test_every_event_leaves_as_one_record(events):
    async with lean() as s, Worker(s.address) as w, connect(s.address) as c:
        await c.log_event(["mine", "yours"], {"action": "greet", "n": 1})
        await c.submit(inc, 1)
        published = sum(t.count for t in s._broker.topics.values())
        (timestamp, _), *_ = s.get_events("mine")
        worker, client, scheduler_id = w.address, c.id, s.id
    assert len(events) >= published
    assert s.stream.stats()["written"] == len(events) + 2  # its start and its end
    assert [r.seq for r in events] == list(range(2, len(events) + 2))

    mine, yours = [r for r in events if r.action == "greet"]
    assert (mine.topic, yours.topic) == ("mine", "yours")
    assert mine.created == yours.created == timestamp
    assert mine.getMessage() == "mine: greet n=1"
    assert json.loads(mine.payload) == {"action": "greet", "n": 1}
    assert (mine.event_name, mine.schema_version) == ("dask.event", 1)
    assert (mine.scheduler_id, mine.levelname) == (scheduler_id, "INFO")

    assert {r.worker for r in events if r.action == "add-worker"} == {worker}
    assert {r.client for r in events if r.action == "add-client"} == {client}


@gen_test()
async def test_a_lost_worker_is_a_warning(events):
    async with lean() as s:
        w = await Worker(s.address)
        await w.close()
        while s.workers:
            await asyncio.sleep(0.01)
        async with Worker(s.address) as w:
            await s.retire_workers([w.address])
    removed = [r for r in events if r.action == "remove-worker" and r.topic == "all"]
    assert [r.levelname for r in removed] == ["WARNING", "INFO"]


@gen_test()
async def test_a_msg_is_recorded_as_it_was_when_it_was_logged(events):
    async with lean() as s:
        msg = {"action": "x", "items": [1]}
        s.log_event("mine", msg)
        msg["items"].append(2)
        assert s.get_events("mine")[0][1] == {"action": "x", "items": [1]}
    [record] = [r for r in events if r.topic == "mine"]
    assert json.loads(record.payload)["items"] == [1]


@gen_test()
async def test_client_calls_are_answered_within_the_bounds(tmp_path):
    async with lean() as s, Worker(s.address), connect(s.address) as c:
        async with performance_report(tmp_path / "report.html"):
            future = c.submit(inc, 1)
            await future
        assert "Dask Performance Report" in (tmp_path / "report.html").read_text()
        story = s.story(future.key)
        assert [t.finish for t in story][-1] == "memory"
        events = await c.get_events("all")
        assert {"add-worker", "add-client"} <= {msg["action"] for _, msg in events}
        assert await c.get_events("unknown") == ()
        logs = await c.get_scheduler_logs()
        assert any("Receive client connection" in line for _, line in logs)
        log = await c.run_on_scheduler(
            lambda dask_scheduler: dask_scheduler.transition_log
        )
        assert type(log) is deque


@gen_test()
async def test_a_cluster_dump_shows_events(tmp_path):
    async with lean() as s, connect(s.address) as c:
        s.log_event("mine", {"action": "greet"})
        await c.dump_cluster_state(str(tmp_path / "dump"), format="yaml")
        state = yaml.safe_load((tmp_path / "dump.yaml").read_text())["scheduler"]
        [[timestamp, msg]] = state["events"]["mine"]
        assert (type(timestamp), msg) == (float, {"action": "greet"})
        assert "events 100" in state["extensions"]["leandask"]["retention"]


@gen_test()
async def test_blocked_handlers_of_the_scheduler_are_honoured():
    with dask.config.set({"distributed.scheduler.blocked-handlers": ["run_function"]}):
        async with lean() as s, connect(s.address) as c:
            with pytest.raises(ValueError, match="explicitly disallowed"):
                await c.run_on_scheduler(lambda: 1)
            async with lean(blocked_handlers=None) as other:
                assert other.blocked_handlers == ["run_function"]
            async with lean(blocked_handlers=[]) as other:
                assert other.blocked_handlers == []


@gen_test()
async def test_tls_is_required_where_it_is_set():
    security = Security.temporary()
    async with (
        lean(security=security, protocol="tls") as s,
        Worker(s.address, security=security),
        connect(s.address, security=security) as c,
    ):
        assert s.address.startswith("tls://")
        assert await c.submit(inc, 1) == 2
        with pytest.raises(OSError):  # as upstream: refused without a certificate
            await comm.connect(s.address.replace("tls://", "tcp://"), timeout=2)


@gen_test()
async def test_preloads_run(tmp_path):
    preload = "def dask_setup(scheduler):\n    scheduler.log_event('pre', 'loaded')\n"
    async with lean(preload=preload) as s:
        assert s.get_events("pre")[0][1] == "loaded"


@pytest.mark.timeout(300)
@gen_test(timeout=250)
async def test_dashboard_pages_render():
    from distributed.dashboard.scheduler import applications

    async with (
        LeanScheduler(**LOCAL | {"dashboard": True}) as s,
        Worker(s.address),
        connect(s.address) as c,
    ):
        await c.gather([c.submit(inc, 1), c.submit(fail, "x")], errors="skip")
        for page in [*applications, "/info/main/workers.html", "/health", "/metrics"]:
            if "gpu" not in page and "hardware" not in page:
                response = await fetch(s, page, request_timeout=60)
                assert response.body, page
        assert s.plugins["task-stream"].buffer.maxlen == 500


@gen_test()
async def test_restart_keeps_the_bounds(events):
    async with lean(retention={"computations": 3}) as s, connect(s.address) as c:
        async with Worker(s.address):
            await c.submit(inc, 1)
        await c.restart(wait_for_workers=False)
        async with Worker(s.address):
            assert await c.submit(inc, 2) == 3
        assert (s.computations.maxlen, s.computations.seen) == (3, 2)


@gen_test()
async def test_install_makes_a_running_scheduler_lean(events):
    s = await Scheduler(**LOCAL)
    async with Worker(s.address) as a, connect(s.address) as c:
        futures = c.map(inc, range(200))
        await c.gather(futures)
        transitions = list(s.transition_log)[-100:]
        logs = await c.get_scheduler_logs()
        install(s)
        install(s)
        assert list(s.transition_log) == transitions
        assert await c.get_scheduler_logs() == logs
        for stream in [*s.stream_comms.values(), *s.client_comms.values()]:
            assert stream.recent_message_log.maxlen == 0
        async with Worker(s.address) as b:
            assert s.stream_comms[b.address].recent_message_log.maxlen == 0
            assert await c.submit(inc, 1, workers=[b.address]) == 2
        assert a.address in s.workers
        client_id = c.id
    await s.close()
    while not s.stream.stats()["written"] == s.stream.stats()["emitted"]:
        await asyncio.sleep(0.01)
    assert {r.client for r in events if r.action == "remove-client"} == {client_id}
    assert b.address in {r.worker for r in events if r.action == "add-worker"}


@gen_test()
async def test_the_event_log_holds_every_event_when_the_scheduler_is_closed(tmp_path):
    path = tmp_path / "logs" / "events.jsonl"
    with dask.config.set({"leandask.event-log.path": str(path)}):
        async with lean() as s, Worker(s.address), connect(s.address) as c:
            await c.submit(inc, 1)
            s.log_event("mine", {"text": "a\nb"})
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert len(records) == s.stream.stats()["emitted"]
    assert s.stream.stats()["dropped"] == {
        "queue-length": 0,
        "queue-bytes": 0,
        "closed": 0,
    }
    assert {r["scheduler_id"] for r in records} == {s.id}


@gen_test()
async def test_two_schedulers_of_a_process_have_separate_event_logs(tmp_path):
    ids = []
    for name in ("a", "b"):
        with dask.config.set({"leandask.event-log.path": str(tmp_path / name)}):
            ids.append(await lean())
    for s in ids:
        s.log_event("mine", s.id)
    for s in ids:
        await s.close()
    for name, s in zip("ab", ids, strict=True):
        lines = (tmp_path / name).read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [r["event_name"] for r in records] == [
            "dask.scheduler.start",
            "dask.event",
            "dask.scheduler.stop",
        ]
        assert json.loads(records[1]["payload"]) == s.id


def test_importing_configures_no_logging():
    assert logging.getLogger("leandask").handlers == []
    [handler] = logging.getLogger("leandask.events").handlers
    assert isinstance(handler, logging.NullHandler)
    assert leandask.__version__
