from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import sys
import warnings

import pytest
from distributed import Client, Event, Scheduler, Security, Worker, secede, wait
from distributed.comm import connect
from distributed.core import rpc
from distributed.utils_test import gen_test, inc, slowinc

from leandask import _compat, install
from leandask.peers.levels import Levels
from leandask.peers.ondemand import DequeOnDemand, SetOnDemand
from leandask.peers.samples import MemorySamples
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, run_housekeeping, until


def streams_of(s):
    return [comm.stream for comm in s._comms if hasattr(comm, "stream")]


def is_small(stream):
    return (
        type(stream._write_buffer._buffers)
        is DequeOnDemand
        is type(stream._write_futures)
    )


async def do_work(s, c):
    """Have every part in use: steals, actors, long tasks, large messages."""
    futures = c.map(slowinc, range(20), delay=0.01)
    large = c.submit(bytes, 5_000_000)
    assert len(await c.gather(large, direct=False)) == 5_000_000
    assert await c.gather(futures) == list(range(1, 21))


@gen_test()
async def test_what_is_held_of_workers_and_clients_is_small():
    async with lean_cluster() as (s, c), Worker(s.address, dashboard=False) as w:
        assert await c.submit(inc, 1) == 2
        assert streams_of(s)
        assert all(map(is_small, streams_of(s)))
        first, second = s.workers.values()
        me = next(cs for cs in s.clients.values() if cs.versions)
        for part in ("host", "packages"):
            parts = [peer.versions[part] for peer in (first, second, me)]
            for name in parts[0]:
                assert len({id(told[name]) for told in parts}) == 1
        assert type(first._memory_unmanaged_history) is MemorySamples
        assert type(first.actors) is SetOnDemand is type(first.long_running)
        for levels in s.extensions["stealing"].stealable.values():
            assert type(levels) is Levels
        logs = {id(_compat.get_message_log(b)) for b in s.stream_comms.values()}
        logs |= {id(_compat.get_message_log(b)) for b in s.client_comms.values()}
        assert len(logs) == 1
        assert s.workers[w.address].metrics["memory"] > 0


@gen_test()
async def test_the_metrics_of_the_first_message_are_not_kept():
    kept = []

    class Noted(Scheduler):
        async def add_worker(self, comm, *, metrics, **kwargs):
            kept.append(metrics)  # as the frame of the handler keeps it
            await super().add_worker(comm, metrics=metrics, **kwargs)

    async with Noted(**LOCAL) as s:
        install(s)
        async with Worker(s.address, dashboard=False) as w:
            assert kept == [{}]
            assert s.workers[w.address].metrics["task_counts"] == {}
            assert s.workers[w.address].memory.process > 0


@pytest.mark.parametrize("protocol", ["tcp://", "tls://", "ws://", "inproc://"])
@gen_test()
async def test_every_kind_of_connection_works(protocol):
    security = Security.temporary() if protocol == "tls://" else Security()
    options = {} if protocol == "inproc://" else {"host": "127.0.0.1"}
    common = {"protocol": protocol, "security": security, "dashboard": False}
    async with (
        lean(**{**LOCAL, **common, **options, "host": options.get("host")}) as s,
        Worker(s.address, nthreads=1, **common, **options),
        Worker(s.address, nthreads=1, **common, **options),
        Client(s.address, security=security, asynchronous=True) as c,
    ):
        s.validate = True
        await do_work(s, c)
        assert all(map(is_small, streams_of(s)))
        s.validate_state()
    with warnings.catch_warnings():
        # Upstream's connections over ws:// leave one of tornado's unclosed.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@gen_test()
async def test_messages_to_a_peer_that_does_not_read_arrive_in_order():
    """They wait in the buffer, which is a deque as long as they do."""
    async with lean() as s:
        comm = await connect(s.address, deserialize=False)
        try:
            stream = rpc(s.address)
            await stream.identity()
            await comm.write({"op": "echo", "data": "first"})
            assert await comm.read() == "first"
            theirs = next(c for c in s._comms if c.peer_address == comm.local_address)
            sent = [{"number": i, "data": bytes(100_000)} for i in range(200)]
            for each in sent:
                await theirs.write(each, serializers=["msgpack"])
            buffers = theirs.stream._write_buffer._buffers
            assert type(buffers) is DequeOnDemand and len(buffers) > 100
            received = [await comm.read() for _ in sent]
            assert [each["number"] for each in received] == list(range(200))
            await until(lambda: not theirs.stream.writing())
            assert sys.getsizeof(buffers) < 100 and buffers._items is None
            assert theirs.stream._write_futures._items is None
            await stream.close_rpc()
        finally:
            comm.abort()


@gen_test()
async def test_a_scheduler_that_runs_already_has_later_peers_small():
    async with (
        Scheduler(**LOCAL) as s,
        Worker(s.address, dashboard=False) as before,
        Client(s.address, asynchronous=True) as c,
    ):
        await do_work(s, c)
        install(s)
        async with Worker(s.address, dashboard=False) as after:
            assert type(s.workers[before.address].actors) is set
            assert type(s.workers[after.address].actors) is SetOnDemand
            assert any(map(is_small, streams_of(s)))
            await do_work(s, c)


class Counter:
    n = 0

    def increment(self):
        self.n += 1
        return self.n


@gen_test()
async def test_actors_and_long_tasks_are_counted_as_upstream_does():
    def long(event):
        secede()
        event.wait()

    async with lean_cluster(validate=True) as (s, c):
        (ws,) = s.workers.values()
        counter = await c.submit(Counter, actor=True)
        assert await counter.increment() == 1
        assert {ts.key for ts in ws.actors} == {counter.key}
        assert pickle.loads(pickle.dumps(SetOnDemand([1]))) == {1}
        event = Event("end", client=c)
        future = c.submit(long, event)
        await until(lambda: len(ws.long_running) == 1)
        s.validate_state()
        assert len(s._to_dict()["workers"][ws.address]["long_running"]) == 1
        await event.set()
        await wait(future)
        assert not ws.long_running and ws.long_running._members is None
        del counter
        await until(lambda: not ws.actors)


@gen_test()
async def test_empty_levels_are_forgotten():
    async with lean_cluster() as (s, _):
        stealing = s.extensions["stealing"]
        (levels,) = stealing.stealable.values()
        stealing.restart(s)
        assert len(levels._sets) == 15
        await run_housekeeping(s)
        assert not levels._sets
        assert s._to_dict()["extensions"]


@gen_test()
async def test_a_peer_that_can_not_be_shrunk_stays_and_is_told(caplog):
    async with lean() as s:
        with caplog.at_level(logging.WARNING, "leandask"):
            s.stream_comms.on_enter[0]("tcp://nobody:1")
        lines = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert lines == ["'tcp://nobody:1' stays as large as it is"]
        async with Worker(s.address, dashboard=False):
            await asyncio.sleep(0)
            assert len(s.workers) == 1
