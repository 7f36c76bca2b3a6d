"""A lean scheduler does what upstream's does, within its bounds."""

from __future__ import annotations

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
from distributed.utils_test import gen_test, inc

from leandask import LeanScheduler
from tests.helpers.schedulers import LOCAL, fetch, lean

connect = partial(Client, asynchronous=True)


def fail(message):
    raise ValueError(message)


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
        assert len(s.plugins["task-stream"].buffer.recent) == 7
        assert s.plugins["task-stream"].index == 20
        assert len(await c.get_scheduler_logs()) == 6


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
async def test_restart_keeps_the_bounds():
    async with lean(retention={"computations": 3}) as s, connect(s.address) as c:
        async with Worker(s.address):
            await c.submit(inc, 1)
        await c.restart(wait_for_workers=False)
        async with Worker(s.address):
            assert await c.submit(inc, 2) == 3
        assert (s.computations.maxlen, s.computations.seen) == (3, 2)
