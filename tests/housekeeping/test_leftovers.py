from __future__ import annotations

import asyncio
import gc
import weakref

import dask.config
import pytest
from distributed import (
    Client,
    Event,
    Queue,
    Worker,
    fire_and_forget,
    get_client,
    wait,
)
from distributed.diagnostics.plugin import SchedulerUploadFile
from distributed.protocol.pickle import dumps
from distributed.publish import PublishExtension
from distributed.utils_test import gen_test, inc

from leandask.housekeeping import leftovers
from tests.helpers.schedulers import lean, lean_cluster, run_housekeeping, until


@gen_test()
async def test_bandwidths_of_workers_that_left_are_forgotten():
    async with lean() as s, Worker(s.address, dashboard=False) as w:
        s.bandwidth_workers[w.address, "tcp://gone:1"] = 1.0
        s.bandwidth_workers["tcp://gone:1", w.address] = 1.0
        s.bandwidth_workers[w.address, w.address] = 1.0
        await run_housekeeping(s)
        assert list(s.bandwidth_workers) == [(w.address, w.address)]


@gen_test()
async def test_bandwidths_may_change_while_many_are_forgotten():
    async with lean() as s:
        bandwidth = s.bandwidth_workers
        bandwidth.update({(f"tcp://gone:{i}", "tcp://x:1"): 1.0 for i in range(5000)})
        slices = 0
        for _ in leftovers.forget_bandwidths(s, slice_seconds=0.0):
            slices += 1
            bandwidth["tcp://late:1", f"tcp://x:{slices}"] = 1.0
            bandwidth.pop((f"tcp://gone:{4999 - slices}", "tcp://x:1"), None)
        assert len(bandwidth) == slices == 5
        await run_housekeeping(s)
        assert not bandwidth


@gen_test()
async def test_a_living_group_forgets_the_dead_ones_it_depended_on():
    async with lean_cluster() as (s, c):
        dependency = c.submit(inc, 1, key="dependency-1")
        first = c.submit(inc, dependency, key="living-1")
        living = c.submit(inc, 1, key="living-2")
        await wait([first, living])
        held = s.task_groups["living"].dependencies
        assert [tg.name for tg in held] == ["dependency"]
        await run_housekeeping(s)
        assert len(held) == 1
        del dependency, first
        await until(lambda: len(s.tasks) == 1)
        assert len(held) == 1
        await run_housekeeping(s)
        assert not held


def fail(x):
    raise ValueError(x)


def wait_for(name):
    Event(name, client=get_client()).wait()


async def fire_finished(s, futures):
    """Fire and forget tasks that have finished, and release their futures."""
    await wait(futures)
    fire_and_forget(futures)
    [cs] = {cs for ts in s.tasks.values() for cs in ts.who_wants}
    futures.clear()
    await until(lambda: not cs.wants_what)


@gen_test()
async def test_tasks_that_had_finished_when_they_were_fired_are_released():
    async with lean() as s, Worker(s.address, dashboard=False) as w:
        async with Client(s.address, asynchronous=True) as c:
            futures = [*c.map(inc, range(120)), *c.map(fail, range(2))]
            await fire_finished(s, futures)
            assert len(s.tasks) == 122
            slices = 0
            for _ in leftovers.release_fired(s, slice_seconds=0.0):
                slices += 1
                await asyncio.sleep(0)
            assert slices == 3
            assert not s.tasks
            await until(lambda: not w.data)


@gen_test()
async def test_a_task_fired_while_it_runs_finishes_and_upstream_releases_it():
    async with lean_cluster() as (s, c):
        fire_and_forget(c.submit(wait_for, "go", key="running"))
        await until(lambda: "running" in s.tasks)
        ts = s.tasks["running"]
        await until(lambda: {cs.client_key for cs in ts.who_wants} == {leftovers.FIRED})
        await run_housekeeping(s)
        assert ts.state == "processing"
        await Event("go").set()
        await until(lambda: "running" not in s.tasks)


@gen_test()
async def test_a_fired_task_that_is_wanted_stays():
    async with lean_cluster() as (s, c):
        future = c.submit(inc, 1)
        await wait(future)
        fire_and_forget(future)
        fired = s.clients[leftovers.FIRED].wants_what
        await until(lambda: fired)
        await run_housekeeping(s)
        assert not fired
        assert await future == 2


@gen_test()
async def test_addresses_without_a_connection_are_forgotten():
    async with lean() as s, Worker(s.address, dashboard=False):
        [address], gone = s.workers, "tcp://127.0.0.1:1"
        pool = s.rpc
        assert await pool(address).identity()
        with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
            with pytest.raises(OSError, match="Timed out"):
                await pool(gone).identity()
        assert gone in pool.available
        assert gone in pool.occupied
        [comm] = pool.available[address]
        await run_housekeeping(s)
        assert dict(pool.available) == {address: {comm}}
        assert not pool.occupied
        assert await pool(address).identity()
        assert pool.available[address] == {comm}
        pool._validate()


async def hold(dask_worker):
    await dask_worker.go.wait()
    return "held"


@gen_test()
async def test_a_connection_in_use_stays():
    async with lean() as s, Worker(s.address, dashboard=False) as w:
        w.go = asyncio.Event()
        holding = asyncio.create_task(
            s.broadcast(msg={"op": "run", "function": dumps(hold), "wait": True})
        )
        await until(lambda: s.rpc.active == 1)
        await run_housekeeping(s)
        assert s.rpc.active == 1
        w.go.set()
        [answer] = (await holding).values()
        assert answer["status"] == "OK"
        s.rpc._validate()


async def make_queue(name, c):
    """Make a queue that is registered once; awaiting it would do so twice."""
    queue = Queue(name, client=c)
    await queue._started
    return queue


@gen_test()
async def test_the_client_of_a_queue_is_forgotten_when_it_is_closed():
    async with lean_cluster() as (s, c):
        queue, other = await make_queue("x", c), await make_queue("other", c)
        future = c.submit(inc, 1)
        for q in (queue, other, queue):
            await q.put(future)
        got = await queue.get()
        assert await got == 2
        await other.get()
        counts = s.extensions["queues"].future_refcount
        await until(lambda: counts == {("x", future.key): 1})
        await run_housekeeping(s)
        assert {"queue-x", "queue-other"} <= s.clients.keys()
        queue.close()
        await until(lambda: "x" not in s.extensions["queues"].queues)
        assert not s.clients["queue-x"].wants_what
        await run_housekeeping(s)
        assert "queue-x" not in s.clients
        assert "queue-other" in s.clients
        assert not counts
        # A late release does not look up a client that is gone.
        c._send_to_scheduler(
            {"op": "queue-future-release", "name": "x", "key": future.key}
        )
        await until(lambda: counts)
        assert await c.submit(inc, 2) == 3
        again = await make_queue("x", c)
        await again.put(future)
        assert await (await again.get()) == 2


@gen_test()
async def test_the_client_of_a_closed_queue_stays_until_its_last_future_is_released():
    async with lean_cluster() as (s, c):
        queue = await make_queue("x", c)
        future = c.submit(inc, 1)
        await queue.put(future)
        await c.scheduler.queue_get(name="x")  # taken out, but not released yet
        queue.close()
        await until(lambda: "x" not in s.extensions["queues"].queues)
        await run_housekeeping(s)
        assert {ts.key for ts in s.clients["queue-x"].wants_what} == {future.key}
        c._send_to_scheduler(
            {"op": "queue-future-release", "name": "x", "key": future.key}
        )
        await until(lambda: not s.clients["queue-x"].wants_what)
        await run_housekeeping(s)
        assert "queue-x" not in s.clients
        assert await future == 2


@gen_test()
async def test_the_client_of_a_dataset_is_forgotten_with_it():
    async with lean_cluster() as (s, c):
        future = c.submit(inc, 1)
        await c.publish_dataset(future, name=("x", 1))
        await c.publish_dataset(1, name="no task")
        await run_housekeeping(s)
        clients = [name for name in s.clients if name.startswith("published-")]
        assert len(clients) == 2
        for _ in range(2):  # the second time has no effect
            await c.unpublish_dataset(("x", 1))
            await run_housekeeping(s)
        await c.unpublish_dataset("no task")
        await run_housekeeping(s)
        left = s.clients.keys() & clients
        if asyncio.iscoroutinefunction(PublishExtension.delete):
            assert not left
        else:  # upstream looks it up
            assert left
        await c.publish_dataset(future, name=("x", 1))
        assert await (await c.get_dataset(("x", 1))) == 2


@gen_test()
async def test_a_scheduler_without_extensions_has_no_errors():
    async with lean(extensions={}) as s:
        await run_housekeeping(s)
        assert s.extensions["leandask"].housekeeping.errors == 0


@gen_test()
async def test_servers_that_closed_in_this_process_are_forgotten():
    async with lean() as s:
        async with lean() as other, Worker(other.address, dashboard=False) as w:
            async with Client(other.address, asynchronous=True) as c:
                assert await c.submit(inc, 1) == 2
            closed = [weakref.ref(server) for server in (other, w)]
        del c, other, w
        await run_housekeeping(s)
        gc.collect()
        assert [ref() for ref in closed] == [None, None]


@gen_test()
async def test_tasks_that_left_the_queue_leave_its_heap():
    settings = {
        "distributed.scheduler.worker-saturation": 1.0,
        "leandask.tasks.lean": False,  # the queue of lean tasks has no heap
    }
    with dask.config.set(settings):
        async with (
            lean() as s,
            Worker(s.address, dashboard=False, nthreads=1),
            Client(s.address, asynchronous=True) as c,
        ):
            futures = c.map(asyncio.sleep, [3600] * 3000, pure=False)
            await until(lambda: len(s.queued) > 2900)
            kept = futures[:20]
            smallest = s.queued.peek()
            del futures
            await until(lambda: len(s.queued) <= 20)
            assert len(s.queued._heap) > 2900
            await run_housekeeping(s)
            assert len(s.queued._heap) == len(s.queued)
            assert s.queued.peek() is smallest
            in_order = [ts.priority for ts in s.queued.sorted()]
            assert in_order == sorted(in_order)
            await c.cancel(kept)


def get_contents(s):
    plugins = s.plugins.values()
    return [p.data for p in plugins if isinstance(p, SchedulerUploadFile)]


@gen_test()
async def test_the_contents_of_uploaded_files_are_forgotten(tmp_path):
    file = tmp_path / "uploaded.txt"
    async with lean_cluster() as (s, c):
        for text in (b"first" * 1000, b"second" * 10_000):
            file.write_bytes(text)
            await c.upload_file(str(file), load=False)
        names = list(s.plugins)
        await run_housekeeping(s)
        assert get_contents(s) == [b"", b""]
        assert list(s.plugins) == names
        await c.restart(wait_for_workers=False)
        # Workers that start later get it from a plugin of theirs.
        async with Worker(s.address, dashboard=False) as late:
            for server in (s, late):
                with open(f"{server.local_directory}/{file.name}", "rb") as copied:
                    assert copied.read() == text


@gen_test()
async def test_a_file_given_to_a_scheduler_is_written_when_it_starts(tmp_path):
    file = tmp_path / "given.txt"
    file.write_bytes(b"given")
    given = SchedulerUploadFile(str(file), load=False)
    for _ in range(2):  # as in two clusters with the same plugins
        s = lean(plugins=[given])
        leftovers.forget_uploads(s)
        async with s:
            leftovers.forget_uploads(s)
            assert get_contents(s) == [b""]
            with open(f"{s.local_directory}/{file.name}", "rb") as copied:
                assert copied.read() == b"given"


@gen_test()
async def test_a_plugin_of_the_users_class_keeps_its_data(tmp_path):
    class Mine(SchedulerUploadFile):
        pass

    file = tmp_path / "mine.txt"
    file.write_bytes(b"mine")
    async with lean(plugins=[Mine(str(file), load=False)]) as s:
        leftovers.forget_uploads(s)
        assert get_contents(s) == [b"mine"]


@gen_test()
async def test_names_of_resources_that_no_worker_has_are_forgotten():
    async with lean() as s, Worker(s.address, resources={"GPU": 1}, dashboard=False):
        async with Client(s.address, asynchronous=True) as c:
            waiting = c.submit(inc, 2, resources={"none": 1})
            assert await c.submit(inc, 1, resources={"GPU": 1}) == 2
            await until(lambda: "none" in s.resources)
            await run_housekeeping(s)
            assert s.resources.keys() == {"GPU"}
            async with Worker(s.address, resources={"none": 1}, dashboard=False):
                assert await waiting == 3
            del waiting
        await run_housekeeping(s)
        assert s.resources.keys() == {"GPU"}
