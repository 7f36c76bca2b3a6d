from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import dask.config
import pytest
from distributed import Client, Lock, Scheduler, Worker, wait
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.utils_test import gen_test, inc

import leandask
from leandask.histories.bounds import BOUNDS
from leandask.histories.prefixes import METRICS_PER_PREFIX
from leandask.settings.budget import divide
from tests.helpers.schedulers import LOCAL, lean, lean_cluster

pytestmark = pytest.mark.usefixtures("key_caches")


def kept(s):
    """Entries of each history, as the report has them."""
    report = s.extensions["leandask"].report()
    return {name: held["kept"] for name, held in report["histories"].items()}


def fail(i):
    raise ValueError(i)


@gen_test()
async def test_smaller_bounds_hold_at_once_and_larger_ones_from_then_on():
    async def work(tag):
        futures = [c.submit(inc, i, key=f"{tag}{i}-{i}") for i in range(10)]
        futures += [c.submit(fail, i, key=f"bad{tag}{i}-{i}") for i in range(5)]
        await wait(futures)
        for i in range(20):
            await c.log_event(f"topic-{i % 5}", {"n": i})
        del futures
        while s.tasks:
            await asyncio.sleep(0.01)
        for _ in range(5):
            s.monitor.update()

    async with (
        lean(retention={"messages": 5}) as s,
        Worker(s.address) as w,
        Client(s.address, asynchronous=True) as c,
    ):
        s.add_plugin(TaskStreamPlugin(s))
        await work("a")
        before, counts = kept(s), (s.transition_log.seen, s.transition_counter)
        assert before["transition-log"] > 50
        small = {
            "transition-log": 3,
            "events": 2,
            "topics": 4,
            "messages": 1,
            "log-records": 2,
            "computations": 1,
            "erred-tasks": 1,
            "error-length": 4,
            "task-stream": 3,
            "spans": 0,
            "task-prefixes": 2,
            "key-cache": 3,
            "samples": 1,
        }
        names = {name.replace("-", "_"): bound for name, bound in small.items()}
        in_force = await leandask.set_retention(c, **names)
        assert {name: in_force[name] for name in small} == small
        assert s.retention.events == 2
        after = kept(s)
        subscribers = sum(bool(t.subscribers) for t in s._broker._topics.values())
        for name in small.keys() - {"events", "error-length", "key-cache", "messages"}:
            assert after[name] <= small[name] + (subscribers if name == "topics" else 0)
            assert after[name] <= before[name]
        assert all(len(t.events) <= 2 for t in s._broker._topics.values())
        assert (s.transition_log.seen, s.transition_counter) == counts
        assert s.get_events("topic-4")[-1][1] == {"n": 19}
        assert len(s.erred_tasks[0].exception_text) == 4
        assert len(s.stream_comms[w.address].recent_message_log) <= 1
        await work("b")
        after = kept(s)
        assert after["key-cache"] == 3
        assert (after["transition-log"], after["task-stream"]) == (3, 3)
        await leandask.set_retention(c, transition_log=50, task_stream=10, samples=4)
        await work("c")
        await work("d")
        after = kept(s)
        assert (after["transition-log"], after["task-stream"]) == (50, 10)
        assert after["samples"] == 4
        assert s.extensions["leandask"].housekeeping.errors == 0


@gen_test()
async def test_events_are_bounded_by_their_bytes_from_then_on():
    async with (
        lean(retention={"event_bytes": None, "events": None}) as s,
        Client(s.address, asynchronous=True) as c,
    ):
        for i in range(100):
            s.log_event("big", f"{i:010}" * 1000)
        assert len(s.get_events("big")) == 100
        await leandask.set_retention(c, event_bytes="256 KiB")
        assert 0 < len(s.get_events("big")) < 30
        assert s._broker.topics.nbytes <= 256 * 1024


@gen_test()
async def test_locks_departed_and_measurements_are_resized():
    async with (
        lean() as s,
        Worker(s.address) as w,
        Client(s.address, asynchronous=True) as c,
    ):
        for i in range(1010):
            s.extensions["semaphores"].create(f"lock-{i}", 1, lease_timeout=30)
        held = Lock("held")
        await held.acquire()
        for _ in range(3):
            async with Client(s.address, asynchronous=True):
                pass
        while len(s._ongoing_background_tasks.waiting) < 6:
            await asyncio.sleep(0.01)
        for i in range(100):
            s.cumulative_worker_metrics["execute", f"p{i}", "x", "s"] += 1
        await leandask.set_retention(c, locks=1000, departed=2, task_prefixes=1)
        assert len(s.extensions["semaphores"].max_leases) == 1000
        assert "held" in s.extensions["semaphores"].max_leases
        assert len(s._ongoing_background_tasks.waiting) == 2
        assert len(s.cumulative_worker_metrics) <= 2 * METRICS_PER_PREFIX + 1
        assert sum(s.cumulative_worker_metrics.values()) >= 100
        await held.release()
        assert w.status.name == "running"


@gen_test()
async def test_new_bounds_are_recorded_and_reported(collected):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        await leandask.set_retention(c, events=7)
        report = await leandask.get_report(c)
        assert report["histories"]["events"]["bound"] == 7
    (record,) = [r for r in collected if r.event_name == "leandask.retention-set"]
    assert "events 7, " in record.retention
    assert record.message.startswith("retention set: transition-log 100, events 7")


@pytest.mark.parametrize(
    "bounds, error",
    [
        ({"events": -1}, r"leandask\.retention\.events must be .*; got -1"),
        ({"events": 5, "topics": 0}, r"leandask\.retention\.topics must be"),
        ({"event": 5}, r"retention must have only keys among .*; got 'event'"),
        ({"budget": "some"}, r"leandask\.retention\.budget must be"),
        (
            {"transition_log": 50, "computations": 2**63},
            r"leandask\.retention\.computations must be .* at most \d+, or null",
        ),
        (
            {"transition_log": 50, "event_bytes": float("inf")},
            r"leandask\.retention\.event-bytes must be .*; got inf",
        ),
    ],
)
@gen_test()
async def test_an_invalid_bound_is_refused_and_changes_nothing(bounds, error):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        before = s.retention
        with pytest.raises((TypeError, ValueError), match=error):
            await leandask.set_retention(c, **bounds)
        assert s.retention == before
        assert s._broker.topics.maxlen == before.topics
        assert s.transition_log.maxlen == before.transition_log


@gen_test()
async def test_the_largest_bounds_hold_as_the_others_do():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        bounds = {name.replace("-", "_"): sys.maxsize for name in s.retention.as_dict()}
        del bounds["budget"]
        in_force = await leandask.set_retention(c, **bounds)
        assert set(in_force.values()) == {sys.maxsize, None}
        s.log_event("mine", 1)
        assert len(s.get_events("mine")) == 1


@gen_test()
async def test_the_users_smaller_setting_for_upstream_wins():
    with dask.config.set({"distributed.admin.low-level-log-length": 30}):
        async with lean() as s, Client(s.address, asynchronous=True) as c:
            in_force = await leandask.set_retention(c, events=500)
            assert in_force["events"] == s.retention.events == 30


@gen_test()
async def test_a_budget_can_be_set_at_run_time():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        in_force = await leandask.set_retention(c, budget="4 MiB")
        assert in_force["budget"] == 4 * 2**20
        assert in_force["spans"] == 4 * 2**20 // 10 // 3800
        assert s.extensions["spans"].maxlen == in_force["spans"]


@gen_test()
async def test_a_budget_can_grow_shrink_and_be_removed():
    async with (
        lean(retention={"budget": "16 MiB", "spans": 7}) as s,
        Client(s.address, asynchronous=True) as c,
    ):
        for budget in (64 * 2**20, 4 * 2**20, 16 * 2**20):
            in_force = await leandask.set_retention(c, budget=budget)
            at_start = leandask.Retention(budget=budget, spans=7).effective()
            assert in_force == at_start.as_dict()
            assert in_force["topics"] == divide(budget)["topics"]
            assert s._broker.topics.maxlen == s.retention.topics == in_force["topics"]
        in_force = await leandask.set_retention(c, budget=None)
        assert in_force == leandask.Retention(spans=7).as_dict()
        assert s._broker.topics.maxlen == 1000


@gen_test()
async def test_a_bound_stays_what_it_was_set_to_within_any_budget():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        await leandask.set_retention(c, spans=500, topics=2000)
        small = await leandask.set_retention(c, budget="4 MiB")
        assert (small["spans"], small["topics"]) == (110, 599)
        large = await leandask.set_retention(c, budget="64 MiB")
        assert (large["spans"], large["topics"]) == (500, 2000)


@gen_test()
async def test_a_scheduler_that_was_made_lean_has_a_budget_that_grows():
    async with Scheduler(**LOCAL) as s, Client(s.address, asynchronous=True) as c:
        leandask.install(s, {"budget": "4 MiB"})
        in_force = await leandask.set_retention(c, budget="16 MiB")
        assert in_force["events"] == divide(16 * 2**20)["events"]


@gen_test()
async def test_the_scheduler_alone_holds_the_bounds_in_force():
    async with lean_cluster() as (s, c):
        before = weakref.ref(s.retention)
        await leandask.set_retention(c, events=7, profile=8)
        gc.collect()
        assert before() is None
        holders = [h for h in gc.get_referrers(s.retention) if not isinstance(h, list)]
        assert holders == [vars(s)]


def test_every_bound_of_the_configuration_has_an_entry():
    names = [bound.name for bound in BOUNDS]
    assert names == [n for n in leandask.Retention().as_dict() if n != "budget"]
    assert all(bound.cost.nbytes > 0 for bound in BOUNDS)
    assert sum(bound.cost.share for bound in BOUNDS if not bound.cost.part_of) == 100
