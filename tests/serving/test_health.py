from __future__ import annotations

import re
import time
from functools import partial
from types import SimpleNamespace

import dask.config
import pytest
from distributed import Scheduler, Worker
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask._throttle import Throttle
from leandask.records.schema import UNRESPONSIVE
from leandask.serving.health import Health
from tests.helpers.schedulers import (
    LOCAL,
    OUR_METRICS,
    lean,
    lean_cluster,
    scrape,
    series_of,
    until,
)

pytestmark = pytest.mark.usefixtures("fresh_collectors")

LONGEST = ("event_loop_longest_lateness_seconds",)
LATENESS = ("event_loop_lateness_seconds_total",)
LOST = ("workers_lost_total",)
FAILED = ("transitions_failed_total",)


def health_of(scheduler):
    return scheduler.extensions["leandask"].health


async def ticks(scheduler):
    """Wait until the event loop is measured."""
    health = health_of(scheduler)
    due = health._due
    await until(lambda: health._due != due)


@pytest.mark.parametrize("tick", ["20ms", "500ms"])
@pytest.mark.parametrize("make", [partial(Scheduler, **LOCAL), lean])
@gen_test()
async def test_a_stall_of_the_event_loop_is_seen_by_the_next_scrape(make, tick):
    with dask.config.set({"distributed.admin.tick.interval": tick}):
        s = make()
    async with s:
        install(s)
        await ticks(s)
        before = await series_of(s)
        time.sleep(0.4)
        await ticks(s)
        text = await scrape(s)
        longest = re.search(rf"^{OUR_METRICS}{LONGEST[0]} (\S+)", text, re.M)
        assert 0.3 < float(longest[1]) < 30
        # Upstream's own shows it too.
        tick = re.search(r"^dask_scheduler_tick_duration_maximum_\S+ (\S+)", text, re.M)
        assert 0.3 < float(tick[1]) < 30
        assert (await series_of(s))[LATENESS] - before[LATENESS] > 0.3


@gen_test()
async def test_a_stall_is_told_once_whether_a_tick_or_a_scrape_comes_first(monkeypatch):
    async with lean() as s:
        health = Health(s, s.stream)
        health._interval = 0.5
        clock = SimpleNamespace(monotonic=lambda: now)
        monkeypatch.setattr("leandask.serving.health.time", clock)
        now = 100.0
        assert health.take_longest_lateness() == 0  # before the first tick
        health._tick()
        now = 103.5
        assert health.take_longest_lateness() == 3
        health._tick()
        assert health.take_longest_lateness() == 0
        now = 105.0
        health._tick()
        health._tick()
        assert health.take_longest_lateness() == 1
        assert health.lateness == 4
        # What a scrape has taken is still told to the samples.
        assert health.take_longest_lateness("sample") == 3
        assert health.take_longest_lateness("sample") == 0


@gen_test()
async def test_a_long_stall_is_a_warning(collected, monkeypatch):
    # Longer than any stall of a busy machine.
    with dask.config.set({"distributed.admin.tick.limit": "60s"}):
        async with lean() as s:
            await ticks(s)
            clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 100)
            monkeypatch.setattr("leandask.serving.health.time", clock)
            await until(lambda: health_of(s).stalls)
    (record,) = stalls_in(collected)
    assert (record.levelname, record.stalls_total) == ("WARNING", 1)
    assert 90 < record.seconds < 160
    told = re.search(r"unresponsive for ([\d.]+) s", record.getMessage())
    assert float(told[1]) == pytest.approx(record.seconds, abs=0.0051)


@gen_test()
async def test_many_stalls_are_few_records_which_count_them(collected, monkeypatch):
    with dask.config.set({"distributed.admin.tick.limit": "50ms"}):
        async with lean() as s:
            health = Health(s, s.stream)
            clock = SimpleNamespace()
            monkeypatch.setattr("leandask.serving.health.time", clock)
            for now in (0.0, 0.5, 0.6, 3.0, 3.04, 3.5):
                clock.monotonic = lambda now=now: now
                if now == 3.5:
                    health._recording = Throttle(0)  # as ten seconds later
                health._tick()
    # The last one tells the longest of those that had no record.
    stalls = [(each.seconds, each.stalls_total) for each in stalls_in(collected)]
    assert stalls == [(0.5, 1), (2.4, 4)]


def stalls_in(records):
    return [each for each in records if each.event_name == UNRESPONSIVE]


@pytest.mark.parametrize("make", [partial(Scheduler, **LOCAL), lean])
@gen_test()
async def test_a_worker_that_is_lost_is_counted(make):
    async with make() as s:
        install(s)
        lost = await Worker(s.address, dashboard=False)
        lost.batched_stream.comm.abort()  # as when its process is killed
        await until(lambda: not s.workers)
        assert (await series_of(s))[LOST] == 1
        unregistered = await Worker(s.address, dashboard=False)
        await unregistered.scheduler.unregister(
            address=unregistered.address, stimulus_id="test"
        )
        assert (await series_of(s))[LOST] == 2
        await lost.close()
        await unregistered.close()


@gen_test()
async def test_a_worker_that_is_retired_or_closed_is_not_lost():
    async with lean() as s:
        for end in ("retire", "close", "close_gracefully"):
            worker = await Worker(s.address, dashboard=False)
            if end == "retire":
                await s.retire_workers([worker.address])
            else:
                await getattr(worker, end)()
            await until(lambda: not s.workers)
            await worker.close()
        assert await s.remove_worker("tcp://127.0.0.1:1", stimulus_id="test") == (
            "already-removed"
        )
        assert (await series_of(s))[LOST] == 0


@gen_test()
async def test_a_transition_that_raises_is_counted():
    async with lean_cluster() as (s, c):
        future = c.submit(inc, 1, key="x")
        await future
        s.transition_counter_max = s.transition_counter
        with pytest.raises(AssertionError):
            s.transition("x", "released", stimulus_id="test")
        s.transition_counter_max = False
        failed = (await series_of(s))[FAILED]
        assert failed == s._broker._topics["transitions"].count > 0
        await c.log_event("transitions", {"action": "greet"})
        await c.log_event("transitions", "text")
        await until(lambda: s._broker._topics["transitions"].count == failed + 2)
        assert (await series_of(s))[FAILED] == failed
