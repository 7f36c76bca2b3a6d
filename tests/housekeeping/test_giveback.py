from __future__ import annotations

import itertools
import logging
import re
import sys
import threading
import time

import dask.config
import pytest
from distributed import Client, Scheduler
from distributed.scheduler import Transition
from distributed.utils_test import gen_test, inc

import leandask
from leandask import install
from leandask.histories.loglines import log_lines_of
from leandask.housekeeping.giveback import BUSY_RATE, LARGEST_HISTORIES
from tests.helpers.schedulers import (
    LOCAL,
    lean,
    lean_cluster,
    run_housekeeping,
    until,
)


async def hold(s, c, count):
    futures = c.map(inc, range(count))
    await until(lambda: len(s.tasks) == count)
    return futures


async def release(s, futures):
    futures.clear()
    await until(lambda: not s.tasks)


@gen_test()
async def test_memory_is_given_back_when_enough_is_released(collected):
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
            extension.give_back.busy_rate = float("inf")  # as long after the burst
            await run_housekeeping(s)
            assert extension.give_back.count == 1
            assert sys.getsizeof(s.tasks) < table / 100
            assert sys.getsizeof(wanted) < 1000
            assert list(s.transition_log) == tail
            assert s.transition_log.seen == s.transition_counter
            assert s.get_events("kept")[0][1] == {"action": "mine"}
            assert extension.housekeeping.errors == 0
            # It is not done again within a minute.
            futures = await hold(s, c, 3000)
            await release(s, futures)
            await run_housekeeping(s)
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
            await until(lambda: len(s.tasks) == 3000)
            give_back.note_peak()
            del futures
            await until(lambda: len(s.tasks) == 10)
            give_back.busy_rate = float("inf")
            give_back.note_load()
            assert not give_back.is_due
            assert len(kept) == 10


@gen_test()
async def test_a_client_can_ask_for_it():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        begun = time.monotonic()
        report = await leandask.give_back(c)
        assert report["done"] is True
        assert report["before"] > 10**6
        assert report["after"] > 10**6
        assert 0 < report["longest_pause"] < time.monotonic() - begun
        again = await leandask.give_back(c)
        assert again["done"] is False
        reason = r"memory was just given back: possible again in \d+ s"
        assert re.match(reason, again["reason"])


@gen_test()
async def test_a_busy_scheduler_does_not_give_memory_back():
    async with lean_cluster() as (s, c):
        give_back = s.extensions["leandask"].give_back
        give_back.note_load()
        await c.gather(c.map(inc, range(int(BUSY_RATE))))
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


@gen_test()
async def test_a_history_too_long_to_copy_stays_and_the_others_are_copied():
    async with lean(retention={"transition-log": LARGEST_HISTORIES + 1}) as s:
        item = Transition("key", "waiting", "memory", {}, "stimulus", 1.0)
        s.transition_log.extend([item] * (LARGEST_HISTORIES + 1))
        lines = log_lines_of(s).lines
        before, transition = list(lines), s.transition_log[0]
        assert before
        await s.extensions["leandask"].give_back.ask()
        assert s.transition_log[0] is transition
        kept = list(lines)[: len(before)]
        assert not any(new is old for new, old in zip(kept, before, strict=True))


class OneWay(Exception):
    """Can be pickled, but not unpickled."""

    def __init__(self, a, b):
        super().__init__(a)


@gen_test()
async def test_events_that_can_not_be_unpickled_stay_as_they_are():
    async with lean() as s:
        odd = OneWay(1, 2)
        s.log_event("odd", {"error": odd})
        s.log_event("mine", {"n": 1})
        await s.extensions["leandask"].give_back.ask()
        [(_, msg)] = s.get_events("odd")
        assert msg["error"] is odd
        assert [m["n"] for _, m in s.get_events("mine")] == [1]


@pytest.fixture
def busy_threads():
    """Have threads take turns very often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@gen_test()
async def test_a_thread_may_log_while_memory_is_given_back(busy_threads):
    stop = threading.Event()
    logger = logging.getLogger("distributed.scheduler")

    def log():
        for number in itertools.count():
            logger.info("line %d", number)
            if stop.is_set():
                return

    async with lean(retention={"log-records": 300}) as s:
        s.log_event("mine", {"n": 1})
        lines = log_lines_of(s).deque
        thread = threading.Thread(target=log)
        thread.start()
        try:
            await until(lambda: len(lines) == 300)
            for _ in range(50):
                s.extensions["leandask"].give_back._reallocate()
        finally:
            stop.set()
            thread.join()
        assert [m["n"] for _, m in s.get_events("mine")] == [1]
        numbers = [int(line.getMessage().split()[1]) for line in lines]
        assert numbers == [*range(numbers[0], numbers[0] + 300)]
