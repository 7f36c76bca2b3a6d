from __future__ import annotations

import asyncio
import gc
import linecache
import logging
import sys
import weakref
from types import SimpleNamespace

import dask.config
import distributed.scheduler
import distributed.semaphore
import pytest
from bokeh.document import Document
from distributed import Client, Scheduler, Worker, wait
from distributed.dashboard.components import add_periodic_callback
from distributed.dashboard.components.scheduler import TaskGraph
from distributed.diagnostics.progress import GroupTiming
from distributed.utils_test import gen_test, inc

from leandask import LeanScheduler, install
from leandask.housekeeping import rounds as housekeeping
from leandask.housekeeping.rounds import TIMING_BINS
from tests.helpers.schedulers import LOCAL, lean, lean_cluster


def run(s):
    return s.extensions["leandask"].housekeeping.run()


@gen_test()
async def test_what_left_the_queue_leaves_its_heap():
    with dask.config.set({"distributed.scheduler.worker-saturation": 1.0}):
        async with (
            lean() as s,
            Worker(s.address, dashboard=False, nthreads=1),
            Client(s.address, asynchronous=True) as c,
        ):
            futures = c.map(asyncio.sleep, [3600] * 3000, pure=False)
            while len(s.queued) < 2900:
                await asyncio.sleep(0.01)
            kept = futures[:20]
            smallest = s.queued.peek()
            del futures
            while len(s.queued) > 20:
                await asyncio.sleep(0.01)
            assert len(s.queued._heap) > 2900
            await run(s)
            assert len(s.queued._heap) == len(s.queued)
            assert s.queued.peek() is smallest
            in_order = [ts.priority for ts in s.queued.sorted()]
            assert in_order == sorted(in_order)
            await c.cancel(kept)


@gen_test()
async def test_progress_by_group_goes_with_its_page():
    async with lean() as s:
        s.add_plugin(GroupTiming(s))
        await run(s)
        assert "group-timing" not in s.plugins


@gen_test()
async def test_progress_by_group_keeps_what_its_page_shows(monkeypatch):
    monkeypatch.setattr(
        "leandask.housekeeping.rounds.has_sessions", lambda scheduler: True
    )
    async with lean() as s:
        timing = GroupTiming(s)
        s.add_plugin(timing)
        for series in (timing.time, timing.nthreads):
            series[:] = range(1000)
        timing.compute["x"] = [float(i) for i in range(1000)]
        await run(s)
        for series in (timing.time, timing.nthreads, timing.compute["x"]):
            assert list(series) == list(range(1000 - TIMING_BINS, 1000))


@gen_test()
async def test_the_graph_of_a_closed_page_does_not_grow(monkeypatch, capfd):
    async with lean_cluster() as (s, c):
        page, left = Document(), Document()
        for document in (page, left):
            add_periodic_callback(document, TaskGraph(s), 200)
        open_pages = [SimpleNamespace(document=page)]
        monkeypatch.setattr(
            "leandask.housekeeping.pages.sessions", lambda s: open_pages
        )
        names = [name for name in s.plugins if name.startswith("graph-layout")]
        layouts = [s.plugins[name] for name in names]
        await run(s)
        await c.submit(inc, 1)
        assert [len(layout.new) for layout in layouts] == [1, 0]
        # Upstream takes it out when it collects garbage, and finds it.
        left.clear()
        del left, document
        gc.collect()
        assert [name in s.plugins for name in names] == [True, False]
    assert "Exception ignored" not in capfd.readouterr().err


@gen_test()
async def test_an_exception_of_a_job_is_counted_said_once_and_stops_no_other(caplog):
    async with lean() as s:
        housekeeping = s.extensions["leandask"].housekeeping
        done = []

        def broken():
            raise RuntimeError("broken job")

        housekeeping.jobs = [broken, lambda: done.append(1)]
        with caplog.at_level(logging.WARNING, "leandask"):
            await housekeeping.run()
            await housekeeping.run()
        assert (housekeeping.errors, housekeeping.rounds, done) == (2, 2, [1, 1])
        assert caplog.text.count("Housekeeping failed") == 1
        assert "broken job" in caplog.text


@gen_test()
async def test_a_long_job_lets_others_in():
    async with lean() as s:
        housekeeping = s.extensions["leandask"].housekeeping
        seen = []

        def long():
            for i in range(3):
                seen.append(i)
                yield

        housekeeping.jobs = [long]
        task = asyncio.create_task(housekeeping.run())
        await asyncio.sleep(0)
        assert len(seen) == 1
        await task
        assert seen == [0, 1, 2]


@pytest.mark.parametrize("installed", [False, True])
@gen_test()
async def test_it_runs_by_itself_and_ends_with_the_scheduler(installed):
    with dask.config.set({"leandask.housekeeping.interval": "10ms"}):
        kind = Scheduler if installed else LeanScheduler
        async with kind(**LOCAL) as s:
            if installed:
                install(s)
            housekeeping = s.extensions["leandask"].housekeeping
            while housekeeping.rounds < 3:
                await asyncio.sleep(0.01)
            assert housekeeping.errors == 0
            assert 0 < housekeeping.longest_pause < 1
    assert not housekeeping.callback.is_running()


@gen_test()
async def test_work_goes_on_beside_it():
    with dask.config.set({"leandask.housekeeping.interval": "1ms"}):
        async with (
            lean() as s,
            Worker(s.address, dashboard=False),
            Client(s.address, asynchronous=True) as c,
        ):
            for _ in range(5):
                futures = c.map(inc, range(100), pure=False)
                total = c.submit(sum, futures)
                await wait(futures)
                assert await total == 5050
            assert s.extensions["leandask"].housekeeping.errors == 0


@pytest.mark.parametrize("module", [distributed.scheduler, distributed.semaphore])
@gen_test()
async def test_warnings_that_were_shown_are_forgotten_when_they_are_many(module):
    async with lean() as s:
        shown = vars(module).setdefault("__warningregistry__", {})
        shown.clear()
        shown.update({(f"key {i}", UserWarning, 1): True for i in range(1000)})
        await run(s)
        assert len(shown) >= 1000
        shown["one more", UserWarning, 1] = True
        await run(s)
        assert not shown


@pytest.fixture
def no_gc():
    """Has no garbage collected but by whom it is asked for."""
    gc.disable()
    yield
    gc.enable()


@gen_test()
async def test_garbage_of_clients_that_left_is_collected(monkeypatch, no_gc):
    class Garbage:
        def __init__(self):
            self.cycle = self

    async with lean() as s:
        lost = weakref.ref(Garbage())
        await run(s)
        assert lost() is not None  # nobody left
        monkeypatch.setattr(housekeeping, "SMALL_HEAP", 10**9)
        for _ in range(housekeeping.DEPARTED // 2):
            async with Client(s.address, asynchronous=True):
                pass
        tasks = s.extensions["leandask"].housekeeping.departed
        while tasks.seen < housekeeping.DEPARTED:
            await asyncio.sleep(0.01)
        await run(s)
        assert lost() is None


@gen_test()
async def test_garbage_is_collected_after_a_minute(monkeypatch, no_gc):
    class Garbage:
        def __init__(self):
            self.cycle = self

    async with lean() as s:
        monkeypatch.setattr(housekeeping, "SMALL_HEAP", 10**9)
        lost = weakref.ref(Garbage())
        await run(s)
        assert lost() is not None
        monkeypatch.setattr(housekeeping, "GARBAGE_SECONDS", 0.0)
        await run(s)
        assert lost() is None


def test_lines_of_files_are_forgotten_and_those_of_a_notebook_stay():
    linecache.getline(__file__, 1)
    cell = (1, None, ["x = 1"], "<cell>")
    linecache.cache["<cell>"] = cell
    try:
        housekeeping.forget_source_lines()
        assert __file__ not in linecache.cache
        assert linecache.cache["<cell>"] == cell
    finally:
        del linecache.cache["<cell>"]
    assert linecache.getline(__file__, 1).startswith("from __future__")


@pytest.mark.skipif(sys.platform != "linux", reason="what malloc does is glibc's")
@gen_test()
async def test_the_heap_is_trimmed_once_a_minute(monkeypatch):
    async with lean() as s:
        monkeypatch.setattr(housekeeping, "TRIM_RSS", 2**40)
        job = s.extensions["leandask"].housekeeping
        rss = s.monitor.get_process_memory

        def leave_holes():
            blocks = [bytes(2**16) for _ in range(1000)]
            del blocks[1::2], blocks[::20]
            return blocks, rss()

        kept, before = leave_holes()
        job.trim_heap()  # it just began
        assert rss() > before - 2**20
        monkeypatch.setattr(job, "_trim_at", 0.0)
        job.trim_heap()
        assert rss() < before - 20 * 2**20
        kept_too, before = leave_holes()
        job.trim_heap()
        assert rss() > before - 2**20
        assert len(kept) == len(kept_too)
