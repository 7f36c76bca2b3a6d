"""Lean tasks on real schedulers, each with upstream's own checks on."""

from __future__ import annotations

import gc
import weakref

import dask
import pytest
from distributed import Client, Scheduler, SchedulerPlugin, Worker, wait
from distributed.collections import HeapSet
from distributed.scheduler import TaskState
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask.tasks.sharedset import EMPTY, SharedSet
from leandask.tasks.smallset import LargeSet, SmallSet
from leandask.tasks.taskqueue import TaskQueue
from leandask.tasks.taskstate import LeanTaskState, MixedTaskState
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until


def add(*args):
    return sum(args)


def client_of(s):
    return Client(s.address, asynchronous=True)


def tasks_of(s):
    return s.extensions["leandask"].tasks


@gen_test()
async def test_what_a_pending_task_holds():
    async with lean(validate=True) as s, client_of(s) as c:
        first = c.map(inc, range(2))
        second = c.submit(add, *first)
        await until(lambda: len(s.tasks) == 3)
        a, b = (s.tasks[f.key] for f in first)
        total = s.tasks[second.key]
        assert type(a) is LeanTaskState
        assert a.dependencies is total.dependents is EMPTY
        assert a.dependents == {total}
        assert total.dependencies == total.waiting_on == {a, b}
        for few in (a.dependents, a.waiters, total.dependencies, total.waiting_on):
            assert type(few) is SmallSet
        assert total.waiters is a.waiting_on is a.who_has is None
        assert a.who_wants is total.who_wants
        assert type(a.who_wants) is SharedSet
        assert a.who_wants == {s.clients[c.id]}
        s.validate_state()


@gen_test()
async def test_what_a_task_in_memory_holds():
    async with lean_cluster(validate=True) as (s, c):
        futures = c.map(inc, range(20))
        hub = c.submit(sum, futures)
        await wait([hub, *futures])
        [ws] = s.workers.values()
        holders = {id(s.tasks[f.key].who_has) for f in futures}
        assert len(holders) == 1
        assert s.tasks[hub.key].who_has == {ws}
        assert type(s.tasks[hub.key].dependencies) is LargeSet
        assert s.tasks[futures[0].key].waiters in (None, set())
        s.validate_state()


@gen_test()
async def test_two_clients_and_two_workers():
    async with lean_cluster(validate=True) as (s, c), client_of(s) as other:
        async with Worker(s.address, dashboard=False) as w:
            futures = c.map(inc, range(10))
            same = other.map(inc, range(10))
            await wait([*futures, *same])
            await c.replicate(futures)
            ts = s.tasks[futures[0].key]
            assert ts.who_wants == {s.clients[c.id], s.clients[other.id]}
            assert ts.who_has == set(s.workers.values())
            assert type(ts.who_wants) is type(ts.who_has) is SmallSet
            s.validate_state()
            del futures
            await until(lambda: ts.who_wants == {s.clients[other.id]})
            await w.close()
            await until(lambda: len(ts.who_has) == 1)
            s.validate_state()
            assert await other.gather(same) == list(range(1, 11))
            del same
            await until(lambda: not s.tasks)


@gen_test()
async def test_shared_sets_go_with_clients_and_workers():
    async with lean(validate=True) as s:
        async with client_of(s) as c, Worker(s.address, dashboard=False):
            futures = c.map(inc, range(10))
            await wait(futures)
            assert len(tasks_of(s).shared) == 2
        await until(lambda: not s.tasks and not s.workers)
        assert len(tasks_of(s).shared) == 0


@gen_test()
async def test_lost_results_are_waited_for_again():
    async with lean(validate=True) as s, client_of(s) as c:
        async with Worker(s.address, dashboard=False) as w:
            first = c.map(inc, range(20))
            await wait(first)
            total = c.submit(add, *first, workers=["nowhere"])
            await until(lambda: total.key in s.tasks)
            await w.close()
            await until(lambda: not s.workers)
            ts = s.tasks[total.key]
            await until(lambda: len(ts.waiting_on or ()) == 20)
            assert ts.waiting_on == {s.tasks[f.key] for f in first}


@pytest.mark.parametrize("held", ["first", "last"])
@gen_test()
async def test_a_forgotten_task_that_is_held_holds_no_other(held):
    """Upstream gives it its dependencies back, for plugins, and leaves them."""
    async with lean(validate=True) as s, client_of(s) as c:
        x = dask.delayed(inc)(1)
        for _ in range(50):
            x = dask.delayed(inc)(x)
        future = c.compute(x, optimize_graph=False)
        await until(lambda: len(s.tasks) == 51)
        gc.collect()
        gc.disable()
        try:
            end = s.tasks[future.key]
            start = next(ts for ts in s.tasks.values() if not ts.dependencies)
            kept = end if held == "last" else start
            refs = [weakref.ref(ts) for ts in s.tasks.values()]
            del end, start
            future.release()
            await until(lambda: not s.tasks)
            assert [ref() for ref in refs if ref() is not None] == [kept]
        finally:
            gc.enable()
        assert kept.state == "forgotten"


class Seen(SchedulerPlugin):
    """What a plugin sees of tasks that are forgotten."""

    def __init__(self, scheduler):
        self.scheduler, self.forgotten = scheduler, {}

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "forgotten":
            ts = self.scheduler.tasks[key]
            self.forgotten[key] = {d.key for d in ts.dependencies}


@gen_test()
async def test_plugins_see_the_dependencies_of_forgotten_tasks():
    async with lean(validate=True) as s, client_of(s) as c:
        plugin = Seen(s)
        s.add_plugin(plugin)
        first = c.map(inc, range(2))
        total = c.submit(add, *first)
        await until(lambda: len(s.tasks) == 3)
        keys = {f.key for f in first}
        expected = {total.key: keys} | {key: set() for key in keys}
        del first, total
        await until(lambda: not s.tasks)
        assert plugin.forgotten == expected


@gen_test()
async def test_installed_on_a_running_scheduler():
    """Tasks that are there stay, and work together with new ones."""
    async with Scheduler(port=0, validate=True, **LOCAL) as s, client_of(s) as c:
        old = c.map(inc, range(10))
        old_total = c.submit(sum, old)
        await until(lambda: len(s.tasks) == 11)
        install(s)
        assert tasks_of(s).lean
        new = [c.submit(inc, f) for f in old]
        both = c.submit(sum, [*old, *new])
        await until(lambda: len(s.tasks) == 22)
        assert type(s.tasks[old[0].key]) is MixedTaskState
        assert type(s.tasks[both.key]) is LeanTaskState
        # An old one that has no dependencies yet may get a new one.
        s.tasks[old[0].key].add_dependency(ts := s.new_task("x", None, "released"))
        assert ts.dependents == {s.tasks[old[0].key]}
        s.tasks[old[0].key].dependencies.remove(ts)
        ts.dependents.clear()
        s.transitions({"x": "forgotten"}, "test")
        async with Worker(s.address, dashboard=False):
            assert await old_total == sum(range(1, 11))
            assert await both == sum(range(1, 11)) + sum(range(2, 12))
            s.validate_state()
            del old, old_total, new, both
            await until(lambda: not s.tasks)


@gen_test()
async def test_the_queue_moves_over():
    async with Scheduler(port=0, validate=True, **LOCAL) as s, client_of(s) as c:
        async with Worker(s.address, nthreads=1, dashboard=False) as w:
            blocked = c.map(inc, range(20))
            await wait(blocked)
            queue = s.queued
            assert type(queue) is HeapSet
            for f in blocked:
                queue.add(s.tasks[f.key])
            install(s)
            assert type(s.queued) is TaskQueue
            assert list(s.queued.sorted()) == list(queue.sorted())
            s.queued.clear()
            assert w.address in s.workers


@gen_test()
async def test_tasks_wait_in_the_queue():
    async with lean(validate=True) as s, client_of(s) as c:
        async with Worker(s.address, nthreads=1, dashboard=False):
            futures = c.map(inc, range(50), pure=False)
            await until(lambda: len(s.tasks) == 50)
            assert isinstance(s.queued, TaskQueue)
            await c.cancel(futures[25:])
            assert await c.gather(futures[:25]) == list(range(1, 26))
            assert not s.queued


@gen_test()
async def test_switched_off():
    with dask.config.set({"leandask.tasks.lean": False}):
        async with lean_cluster(validate=True) as (s, c):
            assert repr(tasks_of(s)) == "<LeanTasks: leandask.tasks.lean is false>"
            future = c.submit(inc, 1)
            assert await future == 2
            assert type(s.tasks[future.key]) is TaskState
            assert type(s.queued) is HeapSet
            report = s.extensions["leandask"].report()
            assert report["lean_tasks"]["why"] == "leandask.tasks.lean is false"


@pytest.mark.filterwarnings("ignore:Client.* desires key 'y':UserWarning")
@gen_test()
async def test_a_client_that_desires_unknown_keys():
    """Upstream warns of them; before 2025 it makes a task for each."""
    async with lean(validate=True) as s:
        s.new_task("x", None, "released")
        s.client_desires_keys(["x", "y"], "queue-z")
        assert s.tasks["x"].who_wants == {s.clients["queue-z"]}
        assert s.tasks["x"] in s.clients["queue-z"].wants_what
        s.client_releases_keys(["x", "y"], "queue-z")
        assert not s.tasks


@gen_test()
async def test_keys_that_can_be_read_once_are_desired():
    async with lean(validate=True) as s:
        ts = s.new_task("x", None, "released")
        s.client_desires_keys(iter(["x"]), "queue-z")
        assert ts.who_wants == {s.clients["queue-z"]}
        assert ts in s.clients["queue-z"].wants_what


@gen_test()
async def test_a_client_that_desires_a_bad_key_holds_no_task_by_half():
    async with lean(validate=True) as s:
        ts = s.new_task("x", None, "released")
        with pytest.raises(TypeError):
            s.client_desires_keys(["x", []], "queue-z")
        wanted = ts in s.clients["queue-z"].wants_what
        assert wanted is (s.clients["queue-z"] in (ts.who_wants or ()))


@gen_test()
async def test_a_dump_shows_sets_as_upstreams_does():
    async with lean_cluster(validate=True) as (s, c):
        futures = c.map(inc, range(2))
        total = c.submit(add, *futures)
        await wait(total)
        dumped = s._to_dict()["tasks"][total.key]
        assert len(dumped["dependencies"]) == 2
        assert dumped["dependents"] == []
        assert dumped["who_wants"] == [repr(s.clients[c.id])]
        assert len(dumped["who_has"]) == 1
