from __future__ import annotations

import asyncio

import dask.config
import pytest
from distributed import Client, Scheduler, Worker
from distributed.utils_test import gen_test

from leandask import install
from tests.helpers.schedulers import LOCAL, lean

DELAY = "distributed.scheduler.events-cleanup-delay"


async def come_and_go(s, count):
    addresses = []
    for _ in range(count):
        async with Worker(s.address, dashboard=False, nthreads=1) as w:
            addresses.append(w.address)
    while s.workers or len(s._ongoing_background_tasks) > 1:
        await asyncio.sleep(0.01)
    return addresses


@gen_test()
async def test_beyond_the_bound_those_that_left_first_are_forgotten_early():
    async with lean(retention={"departed": 2}) as s:
        addresses = await come_and_go(s, 4)
        assert [a in s._broker.topics for a in addresses] == [False, False, True, True]
        assert len(s._ongoing_background_tasks.waiting) == 2
        assert s.get_events(addresses[-1])[-1][1]["action"] == "remove-worker"


@gen_test()
async def test_the_departed_are_forgotten_after_the_delay():
    with dask.config.set({DELAY: "100 ms"}):
        async with lean() as s:
            [address] = await come_and_go(s, 1)
            while address in s._broker.topics:
                await asyncio.sleep(0.01)
            assert not s._ongoing_background_tasks.waiting


@gen_test()
async def test_a_worker_that_came_back_keeps_its_topic():
    async with lean() as s:
        [address] = await come_and_go(s, 1)
        port = int(address.rpartition(":")[2])
        async with Worker(s.address, dashboard=False, port=port):
            departed = s._ongoing_background_tasks
            assert len(departed.waiting) == 1
            departed.resize(0)  # as if the delay were over
            for _ in range(3):  # it runs in a separate task
                await asyncio.sleep(0)
            actions = [msg["action"] for _, msg in s.get_events(address)]
            assert actions.count("add-worker") == 2
            assert actions.count("remove-worker") == 1


@gen_test()
async def test_a_client_that_left_leaves_no_topic_beyond_the_bound():
    async with lean(retention={"departed": 0}) as s:
        async with Client(s.address, asynchronous=True) as client:
            assert client.id in s._broker.topics
        while client.id in s._broker.topics:
            await asyncio.sleep(0.01)


@gen_test()
async def test_close_discards_what_waits_and_other_delays_are_left_to_upstream():
    calls = []

    async def call():
        calls.append(1)

    async with lean() as s:
        tasks = s._ongoing_background_tasks
        tasks.call_later(0.01, call)
        assert not tasks.waiting
        while not calls:
            await asyncio.sleep(0.01)
        await come_and_go(s, 1)
        assert len(tasks.waiting) == 1
    assert not tasks.waiting
    assert tasks.closed


@gen_test()
async def test_install_keeps_running_tasks():
    done = asyncio.Event()

    async def call():
        await done.wait()

    async with Scheduler(**LOCAL) as s:
        before = len(s._ongoing_background_tasks)
        s._ongoing_background_tasks.call_soon(call)
        install(s)
        assert len(s._ongoing_background_tasks) == before + 1
        done.set()
        while len(s._ongoing_background_tasks) > before:
            await asyncio.sleep(0.01)


@gen_test()
async def test_clients_with_long_names_that_left_take_the_place_of_others():
    async with lean(retention={"departed": 10}) as s:
        departed = s._ongoing_background_tasks

        async def leave(client):
            async def forget():
                client.strip()

            departed.call_later(3600, forget)

        for i in range(10):
            await leave(f"client-{i}")
        assert (len(departed.waiting), departed.weight) == (10, 0)
        for _ in range(10):
            await leave("x" * 10_000)
            assert departed.weight <= 2 * 10 * 1600
        assert len(departed.waiting) == 2
        departed.resize(0)
        assert departed.weight == 0


@gen_test()
async def test_the_long_name_of_a_client_counts_once():
    async with lean(protocol="tcp") as s:
        departed = s._ongoing_background_tasks
        for i in range(2):
            name = f"client-{i}-{'x' * 100_000}"
            async with Client(s.address, asynchronous=True, name=name):
                pass
            while len(departed.waiting) < 2 * (i + 1):
                await asyncio.sleep(0.01)
        assert departed.weight == pytest.approx(200_000, rel=0.01)
        departed.resize(3)
        assert departed.weight == pytest.approx(200_000, rel=0.01)
        departed.resize(2)
        assert departed.weight == pytest.approx(100_000, rel=0.01)
        departed.resize(0)
        assert departed.weight == 0
