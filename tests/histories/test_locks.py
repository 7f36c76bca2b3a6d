from __future__ import annotations

import asyncio

import pytest
from distributed import Client, Lock, MultiLock, Scheduler, Semaphore
from distributed.metrics import time
from distributed.utils_test import gen_test

from leandask import install
from leandask.histories import locks
from leandask.settings.budget import COSTS
from tests.helpers.schedulers import LOCAL, lean, run_housekeeping


async def use(s, names):
    """Create, acquire and release locks, as a client has the scheduler do."""
    extension = s.extensions["semaphores"]
    for name in names:
        extension.create(name, 1, 30)
        assert await extension.acquire(name=name, lease_id=name)
        extension.release(name=name, lease_id=name)


@gen_test()
async def test_names_that_nobody_holds_are_evicted_beyond_the_bound():
    async with (
        lean(retention={"locks": 1000}) as s,
        Client(s.address, asynchronous=True),
    ):
        extension = s.extensions["semaphores"]
        held = Lock("held")
        assert await held.acquire()
        await use(s, (f"lock-{i}" for i in range(1005)))
        assert len(extension.max_leases) == 1000
        assert "held" in extension.max_leases
        for mapping in (extension.leases, extension.lease_timeouts, extension.events):
            assert len(mapping) <= 1000
        for metric in extension.metrics.values():
            assert len(metric) <= 1000
        assert await held.locked()
        await held.release()


@gen_test()
async def test_install_takes_over_more_names_than_the_bound():
    async with (
        Scheduler(**LOCAL) as s,
        Client(s.address, asynchronous=True),
    ):
        held = Lock("held")
        assert await held.acquire()
        await use(s, (f"lock-{i}" for i in range(1005)))
        install(s, retention={"locks": 1000})
        names = s.extensions["semaphores"].max_leases
        assert len(names) == 1000
        assert {"held", "lock-1004"} <= names.keys()
        assert "leandask" in s.extensions
        await held.release()


@gen_test()
async def test_an_evicted_lock_can_be_made_again_by_its_name():
    async with (
        lean(retention={"locks": 1000}) as s,
        Client(s.address, asynchronous=True),
    ):
        kept = Lock("kept")
        async with kept:
            pass
        await use(s, (f"lock-{i}" for i in range(1001)))
        with pytest.raises(RuntimeError, match="`kept` not known"):
            await kept.acquire()
        async with Lock("kept"):
            assert "kept" in s.extensions["semaphores"].max_leases


@gen_test()
async def test_a_semaphore_that_is_waited_for_stays():
    async with (
        lean(retention={"locks": 1000}) as s,
        Client(s.address, asynchronous=True) as client,
    ):
        semaphore = await Semaphore(max_leases=1, name="waited-for")
        assert await semaphore.acquire()
        waiting = client.loop.asyncio_loop.create_task(semaphore.acquire(timeout=30))
        extension = s.extensions["semaphores"]
        while not extension.metrics["pending"]["waited-for"]:
            await asyncio.sleep(0.001)
        await semaphore.release()
        await use(s, (f"lock-{i}" for i in range(1001)))
        assert await waiting
        assert "waited-for" in extension.max_leases


@gen_test()
async def test_asking_for_a_value_leaves_nothing_behind():
    async with lean() as s:
        extension = s.extensions["semaphores"]
        assert extension.get_value("unknown") == 0
        await run_housekeeping(s)
        assert "unknown" not in extension.leases


@gen_test()
async def test_a_semaphore_closed_while_held_is_forgotten_after_its_leases():
    async with lean() as s, Client(s.address, asynchronous=True) as client:
        semaphore = await Semaphore(name="closed")
        assert await semaphore.acquire()
        with pytest.warns(RuntimeWarning, match="unreleased leases"):
            await semaphore.close()
        leases = s.extensions["semaphores"].leases
        assert "closed" not in leases
        await client.scheduler.semaphore_refresh_leases(name="closed", lease_ids=["x"])
        await run_housekeeping(s)
        assert "x" in leases["closed"]  # it is held
        for _ in locks.forget_closed(s.extensions["semaphores"], lease_seconds=0.0):
            pass
        assert "closed" not in leases


@pytest.mark.parametrize("is_made_again", [False, True])
@gen_test()
async def test_a_semaphore_closed_while_waited_for_is_forgotten(is_made_again):
    async with lean() as s, Client(s.address, asynchronous=True) as client:
        semaphore = await Semaphore(name="closed")
        assert await semaphore.acquire()
        waiting = client.loop.asyncio_loop.create_task(semaphore.acquire(timeout=1))
        extension = s.extensions["semaphores"]
        pending = extension.metrics["pending"]
        while not pending["closed"]:
            await asyncio.sleep(0.01)
        with pytest.warns(RuntimeWarning, match="remain"):
            await semaphore.close()
        if is_made_again:
            await Semaphore(name="closed")
        assert not await waiting
        assert pending["closed"] == -1
        await run_housekeeping(s)
        assert "closed" not in pending
        left = extension.leases, extension.events, *extension.metrics.values()
        assert is_made_again or not any("closed" in mapping for mapping in left)
        if is_made_again:
            assert extension.max_leases.is_idle("closed", 1)
            async with semaphore:
                assert pending["closed"] == 0


@gen_test()
async def test_multi_locks_that_are_free_are_forgotten():
    async with lean() as s, Client(s.address, asynchronous=True) as client:
        names = s.extensions["multi_locks"].locks
        async with MultiLock(["a", "b"]):
            lock = MultiLock(["b", "c"])
            waiting = client.loop.asyncio_loop.create_task(lock.acquire())
            while len(names["b"]) < 2:
                await asyncio.sleep(0.01)
            await run_housekeeping(s)
            assert {name for name, users in names.items() if users} == {"a", "b", "c"}
        assert await waiting
        await run_housekeeping(s)
        assert set(names) == {"b", "c"}
        await lock.release()
        await run_housekeeping(s)
        assert not names
        async with MultiLock(["a", "b"]):
            assert set(names) == {"a", "b"}


@gen_test()
async def test_locks_with_long_names_take_the_place_of_others_unless_held():
    async with lean(retention={"locks": 1000}) as s:
        semaphores = s.extensions["semaphores"]
        held = f"held-{'x' * 100_000}"
        semaphores.create(held, 1, lease_timeout=30)
        semaphores.leases[held]["lease"] = time()
        for i in range(100):
            semaphores.create(f"{i}-{'x' * 100_000}", 1, lease_timeout=30)
        names = semaphores.max_leases
        assert held in names
        assert 15 <= len(names) <= 2 * 1000 * COSTS["locks"].nbytes // 100_000 + 1
        report = s.extensions["leandask"].report()["histories"]["locks"]
        assert report["bytes"] == COSTS["locks"].nbytes * len(names) + names.weight


@gen_test()
async def test_a_long_name_is_kept_once():
    long = "x" * 100_000
    async with (
        lean(protocol="tcp") as s,
        Client(s.address, asynchronous=True),
    ):
        lock = Lock(long)
        for _ in range(2):
            await lock.acquire()
            assert await lock.locked()
            await lock.release()
        extension = s.extensions["semaphores"]
        kept = [extension.max_leases, extension.lease_timeouts, extension.leases]
        kept += [extension.events, *extension.metrics.values()]
        assert len({id(name) for mapping in kept for name in mapping}) == 1
        held = s.extensions["leandask"].report()["histories"]["locks"]
        assert 100_000 < held["bytes"] < 102_000
        extension.close(long)
        assert extension.max_leases.share("x" * 100_000) is not long
