from __future__ import annotations

import asyncio
import pickle

from distributed import Client, Scheduler, Worker
from distributed.metrics import context_meter
from distributed.scheduler import TaskPrefix
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask.histories.prefixes import (
    MAX_ACTIVITIES,
    METRICS_PER_PREFIX,
    OTHER_ACTIVITIES,
    OTHER_PREFIXES,
    TYPES,
    TYPES_LIMIT,
    WorkerMetrics,
)
from tests.helpers.schedulers import LOCAL, lean, lean_cluster


async def compute(client, names):
    for name in names:
        await client.submit(inc, 1, key=f"{name}-0123456789abcdef0123456789abcdef")
    while client.futures or client.scheduler_comm.comm is None:
        await asyncio.sleep(0.01)


@gen_test()
async def test_the_least_recently_used_idle_prefix_is_evicted_first():
    async with lean_cluster(retention={"task-prefixes": 3}) as (s, c):
        await compute(c, ["a", "b", "c"])
        while s.tasks:
            await asyncio.sleep(0.01)
        learned = s.task_prefixes["a"].duration_average
        await compute(c, ["a", "d"])
        assert list(s.task_prefixes) == ["c", "a", "d"]
        assert s.task_prefixes["a"].state_counts["memory"] == 2
        assert learned >= 0
        assert set(await c.run_on_scheduler(names)) == {"c", "a", "d"}


def names(dask_scheduler):
    return dask_scheduler.task_prefixes.keys() | set()


@gen_test()
async def test_a_prefix_with_tasks_stays():
    async with lean_cluster(retention={"task-prefixes": 0}) as (s, c):
        futures = [c.submit(inc, 1, key=f"held{i}-123") for i in range(5)]
        await c.gather(futures)
        assert len(s.task_prefixes) == 5
        del futures
        while s.tasks:
            await asyncio.sleep(0.01)
        await c.submit(inc, 1, key="last-123")
        assert list(s.task_prefixes) == ["last"]


@gen_test()
async def test_install_and_restart_keep_the_bound():
    async with (
        Scheduler(**LOCAL) as s,
        Worker(s.address, dashboard=False),
        Client(s.address, asynchronous=True) as c,
    ):
        await compute(c, ["a", "b", "c"])
        while s.tasks:
            await asyncio.sleep(0.01)
        install(s, {"task-prefixes": 2})
        assert list(s.task_prefixes) == ["b", "c"]
        s._clear_task_state()
        await compute(c, ["d", "e", "f"])
        assert list(s.task_prefixes) == ["e", "f"]


def test_metrics_of_many_prefixes_become_one_and_totals_stay():
    metrics = WorkerMetrics({("execute", "old", "cpu", "seconds"): 1.0}, prefixes=2)
    metrics["get-data", "network", "seconds"] += 5
    metrics["latency"] += 7
    for i in range(100):
        metrics["execute", f"f{i}", "cpu", "seconds"] += 1
        metrics["execute", f"f{i}", "cpu", "count"] += 1
    assert len(metrics) <= 3 * METRICS_PER_PREFIX
    assert metrics["get-data", "network", "seconds"] == 5
    assert metrics["latency"] == 7
    for unit, total in (("seconds", 101), ("count", 100)):
        by_prefix = [v for k, v in metrics.items() if k[-1] == unit and len(k) == 4]
        assert sum(by_prefix) == total
    assert metrics["execute", OTHER_PREFIXES, "cpu", "count"] > 80
    assert metrics["execute", "unknown", "cpu", "count"] == 0
    assert ("execute", "unknown", "cpu", "count") not in metrics
    assert type(pickle.loads(pickle.dumps(metrics))) is dict


def test_unbounded_names_of_activities_become_one_and_totals_stay():
    metrics = WorkerMetrics({}, prefixes=2)
    metrics["latency"] += 7
    for i in range(2000):
        metrics["execute", f"f{i % 10}", f"part-{i}", "count"] += 1
        metrics["execute", f"f{i % 10}", "file", f"part-{i}", "bytes"] += 1
        metrics["execute", f"f{i % 10}", "weigh", f"unit-{i}"] += 1
        metrics[f"name-{i}"] += 1
        metrics["latency"] += 1
        assert len(metrics) <= 3 * METRICS_PER_PREFIX + MAX_ACTIVITIES + 1
    assert metrics["latency"] == 2007
    assert sum(metrics.values()) == 10_007
    assert metrics["execute", OTHER_PREFIXES, OTHER_ACTIVITIES, "bytes"] > 1900
    assert metrics[OTHER_ACTIVITIES] > 1000


def test_totals_stay_when_the_bound_becomes_smaller():
    metrics = WorkerMetrics({}, prefixes=1000)
    for i in range(2 * MAX_ACTIVITIES):
        metrics["execute", OTHER_PREFIXES, f"part-{i}", "count"] += 1
        metrics["execute", "f", f"part-{i}", "count"] += 1
    # Those of the prefix go first, and are added to these.
    for i in range(2 * MAX_ACTIVITIES):
        metrics.move_to_end(("execute", OTHER_PREFIXES, f"part-{i}", "count"))
    metrics.resize(2)
    assert len(metrics) <= 3 * METRICS_PER_PREFIX + MAX_ACTIVITIES
    assert sum(metrics.values()) == 4 * MAX_ACTIVITIES


@gen_test()
async def test_a_worker_whose_tasks_name_unbounded_activities_stays():
    n_parts = 300 * METRICS_PER_PREFIX + 2 * MAX_ACTIVITIES

    def measure():
        for part in range(n_parts):
            context_meter.digest_metric(f"part-{part}", 1, "count")

    async with (
        lean(retention={"task-prefixes": 300}) as s,
        Worker(s.address, dashboard=False) as w,
        Client(s.address, asynchronous=True) as c,
    ):
        await c.submit(measure)
        await w.heartbeat()
        assert w.address in s.workers
        [span] = s.extensions["spans"].spans.values()
        for metrics in (s.cumulative_worker_metrics, span.cumulative_worker_metrics):
            total = sum(v for k, v in metrics.items() if k[-1] == "count")
            assert total >= n_parts
        bound = 301 * METRICS_PER_PREFIX + MAX_ACTIVITIES + 1
        assert len(s.cumulative_worker_metrics) <= bound


@gen_test()
async def test_metrics_of_workers_reach_the_scheduler():
    async with (
        lean(retention={"task-prefixes": 1}) as s,
        Worker(s.address, dashboard=False) as w,
        Client(s.address, asynchronous=True) as c,
    ):
        await compute(c, [f"f{i}x" for i in range(10)])
        await w.heartbeat()
        executed = [k for k in s.cumulative_worker_metrics if k[0] == "execute"]
        for words in zip(*executed, strict=True):  # equal ones are one object
            assert len({*map(id, words)}) == len({*words})
        assert any(k[1] == OTHER_PREFIXES for k in executed)
        assert len(executed) <= 2 * METRICS_PER_PREFIX


@gen_test()
async def test_bandwidths_by_type_are_bounded():
    async with lean() as s:
        for i in range(10 * TYPES):
            s.bandwidth_types[f"mine.Type{i}"] = 1.0
            s.bandwidth_types["mine.Type0"] = 2.0  # one that is in use
        assert len(s.bandwidth_types) == TYPES
        assert s.bandwidth_types["mine.Type0"] == 2.0
        for i in range(100):
            s.bandwidth_types[f"{i}" + "x" * 10_000] = 1.0
        assert sum(map(len, s.bandwidth_types)) < TYPES_LIMIT.nbytes


def test_sums_with_very_long_names_become_one_and_totals_stay():
    metrics, long = WorkerMetrics({}, prefixes=100), "x" * 100_000
    for i in range(50):
        metrics["execute", f"{long}{i}", "cpu", "seconds"] += 1
        metrics["execute", "inc", f"{long}{i}", "seconds"] += 1
        metrics["execute", "inc", "cpu", f"{long}{i}"] += 1
        metrics[f"{long}{i}"] += 1
    assert metrics["execute", OTHER_PREFIXES, "cpu", "seconds"] == 50
    assert metrics["execute", OTHER_PREFIXES, OTHER_ACTIVITIES, "seconds"] == 50
    assert metrics[OTHER_ACTIVITIES] == 100
    assert (len(metrics), metrics.weight) == (3, 0)
    for i in range(1000):
        metrics["execute", f"f{i}", f"{i}" + "x" * 1000, "seconds"] += 1
        assert metrics.weight <= 101 * 220 + 1000
    assert sum(metrics.values()) == 1200


@gen_test()
async def test_long_prefixes_take_the_place_of_others_and_are_cut_when_evicted():
    async with lean(retention={"task-prefixes": 100}) as s:
        old = s.task_prefixes["x" * 100_000] = TaskPrefix("x" * 100_000)
        for i in range(100):
            s.task_prefixes[f"inc{i}"] = TaskPrefix(f"inc{i}")
        assert (len(s.task_prefixes), s.task_prefixes.weight) == (100, 0)
        assert len(old.name) == 2051
        for i in range(100):
            s.task_prefixes[f"{i}" + "y" * 50_000] = TaskPrefix("y")
        held = s.extensions["leandask"].report()["histories"]["task-prefixes"]
        assert 200_000 < held["bytes"] <= 2 * held["bound_bytes"]
