from __future__ import annotations

import gc
import weakref
from functools import partial

import dask.config
from distributed import Client, Scheduler, Worker, wait
from distributed.scheduler import WorkerState
from distributed.utils_test import gen_test, inc, slowinc

from leandask import _compat, install
from leandask.housekeeping.stealing import InFlight, UnknownDurations
from tests.helpers.schedulers import (
    LOCAL,
    lean,
    lean_cluster,
    run_housekeeping,
    until,
)


def fail(x, y):
    raise ValueError("no")


@gen_test()
async def test_tasks_of_a_function_that_only_errs_are_forgotten():
    async with lean_cluster() as (s, c):
        dependency = c.submit(inc, 1)
        futures = [c.submit(fail, dependency, i, key=f"fail-{i}") for i in range(20)]
        await wait(futures)
        unknown = _compat.get_owner_of_unknown_durations(s).unknown_durations
        refs = [weakref.ref(ts) for ts in s.tasks.values() if ts.prefix.name == "fail"]
        assert len(refs) == 20
        assert set(unknown["fail"]) <= {ref() for ref in refs}
        del futures
        await until(lambda: len(s.tasks) == 1)
        # Upstream keeps what a worker was executing until its next heartbeat.
        await until(lambda: not any(ws.executing for ws in s.workers.values()))
        gc.collect()
        assert [ref() for ref in refs] == [None] * 20
        await run_housekeeping(s)
        assert "fail" not in unknown


@gen_test()
async def test_costs_are_known_once_a_task_succeeds():
    async with (
        lean() as s,
        Worker(s.address, dashboard=False, nthreads=1),
        Client(s.address, asynchronous=True) as c,
    ):
        dependency = c.submit(inc, 1)
        futures = [
            c.submit(slowinc, dependency, delay=0.01 + i / 1e6) for i in range(9)
        ]
        unknown = _compat.get_owner_of_unknown_durations(s).unknown_durations
        await until(lambda: "slowinc" in unknown, period=0.001)
        assert unknown["slowinc"]
        await wait(futures)
        assert "slowinc" not in unknown


def test_a_task_added_to_the_set_of_an_unknown_prefix_is_kept():
    class Task:
        pass

    unknown, task = UnknownDurations({}), Task()
    unknown.get("x").add(task)  # as upstream does before 2025.2
    unknown.get("y")
    unknown.forget_empty()
    assert {prefix: set(tasks) for prefix, tasks in unknown.items()} == {"x": {task}}


def make_worker_state(scheduler):
    return WorkerState(
        address="tcp://127.0.0.1:1",
        status="running",
        pid=1,
        name="gone",
        memory_limit=1,
        local_directory="",
        nanny="",
        server_id="",
        scheduler=scheduler,
    )


@gen_test()
async def test_looking_up_what_is_in_flight_stores_no_worker():
    async with lean() as s:
        stealing = s.extensions["stealing"]
        ws = make_worker_state(s)
        for in_flight in (stealing.in_flight_occupancy, stealing.in_flight_tasks):
            assert in_flight[ws] == 0
            in_flight[ws] += 1
            assert in_flight[ws] == 1
            in_flight[ws] -= 1
            assert ws not in in_flight
            in_flight[ws] = 0.5
        await run_housekeeping(s)
        assert ws not in stealing.in_flight_tasks
        assert ws not in stealing.in_flight_occupancy


def count_requests(stealing):
    return sum(stealing.metrics["request_count_total"].values())


def has_more_requests(stealing, before):
    return count_requests(stealing) > before


@gen_test(timeout=60)
async def test_stealing_continues_while_workers_come_and_go():
    with dask.config.set({"distributed.scheduler.work-stealing-interval": "10ms"}):
        async with (
            lean() as s,
            Worker(s.address, dashboard=False, nthreads=1, name="first") as first,
            Client(s.address, asynchronous=True) as c,
        ):
            futures = c.map(
                slowinc,
                range(3000),
                delay=0.02,
                workers="first",
                allow_other_workers=True,
            )
            await until(lambda: s.workers[first.address].processing)
            stealing = s.extensions["stealing"]
            for _ in range(3):
                async with Worker(s.address, dashboard=False, nthreads=1):
                    before = count_requests(stealing)
                    await until(partial(has_more_requests, stealing, before))
            del futures
            await until(lambda: not s.tasks)
            stealing.balance()
            await until(lambda: not stealing.in_flight)
            await run_housekeeping(s)
            for in_flight in (stealing.in_flight_occupancy, stealing.in_flight_tasks):
                assert isinstance(in_flight, InFlight)
                assert set(in_flight) <= set(s.workers.values())


@gen_test()
async def test_a_scheduler_without_stealing_has_no_errors():
    with dask.config.set({"distributed.scheduler.work-stealing": False}):
        async with lean() as s:
            assert "stealing" not in s.extensions
            await run_housekeeping(s)
            assert s.extensions["leandask"].housekeeping.errors == 0


@gen_test()
async def test_install_keeps_what_is_unknown_and_in_flight():
    async with Scheduler(**LOCAL) as s:
        owner = _compat.get_owner_of_unknown_durations(s)
        ws = make_worker_state(s)
        owner.unknown_durations["x"] = set()
        s.extensions["stealing"].in_flight_tasks[ws] += 1
        install(s)
        assert "x" in owner.unknown_durations
        assert s.extensions["stealing"].in_flight_tasks[ws] == 1
