from __future__ import annotations

import asyncio
import gc
import re
import sys
from collections import deque

import dask.config
import pytest
from distributed import Client, Scheduler
from distributed.utils_test import gen_test, inc

import leandask
from leandask import install
from leandask.housekeeping.giveback import BUSY
from leandask.housekeeping.process import make_anew, rebuild, trim
from tests.helpers.schedulers import LOCAL, lean, lean_cluster


async def hold(s, c, count):
    futures = c.map(inc, range(count))
    while len(s.tasks) < count:
        await asyncio.sleep(0.01)
    return futures


async def release(s, futures):
    del futures[:]
    while s.tasks:
        await asyncio.sleep(0.01)


@gen_test()
async def test_memory_goes_back_by_itself_when_enough_is_released(collected):
    settings = {"leandask.give-back.tasks": 2000, "leandask.housekeeping.interval": 999}
    with dask.config.set(settings):
        async with lean() as s, Client(s.address, asynchronous=True) as c:
            extension = s.extensions["leandask"]
            futures = await hold(s, c, 3000)
            [wanted] = [cs.wants_what for cs in s.clients.values() if cs.wants_what]
            await release(s, futures)
            s.log_event("kept", {"action": "mine"})
            tail = list(s.transition_log)
            table = sys.getsizeof(s.tasks)
            assert table > 10_000
            extension.give_back._seen = (-1e9, 0)  # the burst is over for long
            await extension.housekeeping.run()
            assert extension.give_back.count == 1
            assert sys.getsizeof(s.tasks) < table / 100
            assert sys.getsizeof(wanted) < 1000
            assert list(s.transition_log) == tail
            assert s.transition_log.seen == s.transition_counter
            assert s.get_events("kept")[0][1] == {"action": "mine"}
            assert extension.housekeeping.errors == 0
            # And not again before a minute has passed.
            futures = await hold(s, c, 3000)
            await release(s, futures)
            await extension.housekeeping.run()
            assert extension.give_back.count == 1
    [record] = [r for r in collected if r.event_name == "leandask.memory-given-back"]
    assert record.rss_before > 0
    assert record.rss_after > 0
    assert record.longest_pause > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"leandask.give-back.tasks": 3001},
        {"leandask.give-back.tasks": None},
        {"leandask.give-back.tasks": 1, "leandask.give-back.part": 1.0},
    ],
)
@gen_test()
async def test_it_is_not_due_before_enough_is_released(settings):
    with dask.config.set(settings):
        async with lean() as s, Client(s.address, asynchronous=True) as c:
            give_back = s.extensions["leandask"].give_back
            kept = await hold(s, c, 10)
            futures = c.map(inc, range(10, 3000))
            while len(s.tasks) < 3000:
                await asyncio.sleep(0.01)
            del futures
            while len(s.tasks) > 10:
                await asyncio.sleep(0.01)
            give_back._seen = (-1e9, 0)
            give_back.look()
            assert not give_back.is_due
            assert len(kept) == 10


@gen_test()
async def test_a_client_may_ask_for_it():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        report = await leandask.give_back(c)
        assert report["done"] is True
        assert report["before"] > 10**6
        assert report["after"] > 10**6
        assert 0 < report["longest_pause"] < 5
        again = await leandask.give_back(c)
        assert again["done"] is False
        told = r"memory was given back before: again in \d+ s"
        assert re.match(told, again["reason"])


@gen_test()
async def test_never_of_a_busy_scheduler():
    async with lean_cluster() as (s, c):
        give_back = s.extensions["leandask"].give_back
        give_back.look()
        await c.gather(c.map(inc, range(int(BUSY))))
        report = await leandask.give_back(c)
        assert report["done"] is False
        assert report["reason"].startswith("the scheduler is busy: ")
        assert give_back.count == 0


@gen_test()
async def test_an_installed_scheduler_gives_back_too():
    async with (
        Scheduler(**LOCAL) as s,
        Client(s.address, asynchronous=True) as c,
    ):
        install(s)
        assert (await leandask.give_back(c))["done"] is True


def test_a_client_that_is_not_asynchronous_gets_the_report(start):
    _, file = start()
    with Client(scheduler_file=str(file)) as client:
        assert leandask.give_back(client)["done"] is True


def test_tables_are_rebuilt_in_place():
    table = {i for i in range(100_000)}
    for i in range(99_999):
        table.discard(i)
    before = sys.getsizeof(table)
    rebuild(table)
    assert sys.getsizeof(table) < before / 100
    assert table == {99_999}


def test_what_histories_keep_is_made_anew_and_equal():
    entries = [("key", {"x": [1.5]}), ("other", {})]
    history, hostile = deque(entries, maxlen=5), [lambda: None]
    ids = {id(entry) for entry in history}
    before = list(hostile)
    make_anew([history, hostile])
    assert list(history) == entries
    assert history.maxlen == 5
    assert not ids & {id(entry) for entry in history}
    assert hostile == before


class Odd(Exception):
    """Can be pickled, and not be made of that again."""

    def __init__(self, a, b):
        super().__init__(a)


@gen_test()
async def test_events_of_others_making_are_left_as_they_are():
    async with lean() as s:
        odd = Odd(1, 2)
        s.log_event("odd", {"error": odd})
        s.log_event("mine", {"n": 1})
        await s.extensions["leandask"].give_back.ask()
        [(_, msg)] = s.get_events("odd")
        assert msg["error"] is odd
        assert [m["n"] for _, m in s.get_events("mine")] == [1]


def test_trimming_is_harmless():
    trim()
    assert gc.isenabled()


def test_the_command_frees_large_messages_at_once_and_collects_little(start):
    def measure():
        import gc

        import psutil

        process = psutil.Process()
        before = process.memory_info().rss
        buffers = [bytearray(b"x") * 200_000 for _ in range(300)]
        # What comes after them would keep the heap from shrinking.
        after = bytearray(100_000)
        del buffers
        return gc.get_freeze_count(), process.memory_info().rss - before - len(after)

    _, file = start()
    with Client(scheduler_file=str(file)) as client:
        frozen, resident = client.run_on_scheduler(measure)
    assert frozen > 50_000
    assert resident < 5 * 2**20
