from __future__ import annotations

import gc
import weakref

import click
import pytest
from distributed import Client
from distributed.cli import dask_scheduler
from distributed.utils_test import gen_test, inc

from leandask.tasks import collector as module
from leandask.tasks.collector import BLOCK_BYTES, Collector
from tests.helpers.schedulers import lean, run_housekeeping, until

LARGE = 100


@pytest.fixture
def own_process():
    """As in the command, whose process only runs a scheduler."""
    before = gc.get_freeze_count()
    command = click.Command("scheduler", callback=dask_scheduler.main.callback)
    with click.Context(command).scope():
        yield
    assert gc.isenabled()
    if not before:
        gc.unfreeze()


def collector_of(s):
    collector = s.extensions["leandask"].collector
    collector.large = LARGE
    return collector


async def hold(s, c, count):
    before = len(s.tasks)
    futures = c.map(inc, range(count), pure=False)
    await until(lambda: len(s.tasks) == before + count)
    return futures


class Garbage:
    def __init__(self):
        self.cycle = self


@gen_test()
async def test_the_tasks_of_a_large_graph_are_frozen(own_process):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector = collector_of(s)
        before = gc.get_freeze_count()
        small = await hold(s, c, LARGE - 1)
        assert collector.frozen == 0
        assert gc.get_freeze_count() == before
        large = await hold(s, c, LARGE)
        assert collector.frozen == 2 * LARGE - 1
        assert gc.get_freeze_count() > before + 2 * LARGE
        visited = {id(obj) for obj in gc.get_objects()}
        assert not visited & {id(ts) for ts in s.tasks.values()}
        del small, large


@gen_test()
async def test_many_small_graphs_are_frozen_too_but_not_their_garbage(own_process):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector = collector_of(s)
        first = await hold(s, c, LARGE // 2)
        lost = weakref.ref(Garbage())
        second = await hold(s, c, LARGE // 2)
        assert collector.frozen == LARGE
        assert lost() is None
        del first, second


@gen_test()
async def test_garbage_among_the_frozen_is_collected_once_half_of_them_is_gone(
    own_process,
):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector = collector_of(s)
        rest = await hold(s, c, 2 * LARGE)
        garbage = Garbage()
        lost = weakref.ref(garbage)
        released = await hold(s, c, 2 * LARGE)
        del garbage
        gc.collect()
        assert lost() is not None  # it was frozen
        await run_housekeeping(s)
        assert lost() is not None  # all tasks are there
        del released
        await until(lambda: len(s.tasks) == 2 * LARGE)
        await run_housekeeping(s)
        assert lost() is None
        assert collector.frozen == 2 * LARGE == len(rest)


@gen_test()
async def test_garbage_of_who_left_is_collected_at_a_quiet_moment(own_process):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector = collector_of(s)
        held = await hold(s, c, LARGE)
        assert not collector.is_due(is_quiet=True, departed=0)
        assert not collector.is_due(is_quiet=False, departed=1)
        assert collector.is_due(is_quiet=True, departed=1)
        collector.collect_all()
        # A pause as long is due again only after a thousand times its length.
        collector._full_took = 1000.0
        assert not collector.is_due(is_quiet=True, departed=1)
        assert collector.frozen == len(held)


@gen_test()
async def test_garbage_of_a_graph_that_failed_is_collected_though_nobody_left(
    own_process,
):
    """It was frozen as it had been read; the tasks that are there stay."""
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector = collector_of(s)
        held = await hold(s, c, 5)
        lost = weakref.ref(Garbage())
        collector.freeze_graph()
        gc.collect()
        assert lost() is not None
        assert not collector.is_due(is_quiet=False, departed=0)
        await run_housekeeping(s)
        assert lost() is None
        assert not collector.is_due(is_quiet=True, departed=0)
        # Of a large one the tasks are counted.
        collector.freeze_graph()
        with collector.taking_in(LARGE, is_ordered=True):
            pass
        assert not collector.is_due(is_quiet=True, departed=0)
        del held


@gen_test()
async def test_the_tables_of_the_order_are_collected_before_tasks_are_made(own_process):
    async with lean() as s:
        collector = collector_of(s)
        for is_ordered in (True, False):
            gc.disable()
            lost = weakref.ref(Garbage())
            gc.enable()
            with collector.taking_in(LARGE, is_ordered=is_ordered):
                assert (lost() is None) is is_ordered
                assert not gc.isenabled()
            assert gc.isenabled()


@gen_test()
async def test_collections_are_on_again_after_the_last_graph_or_an_error(own_process):
    async with lean() as s:
        collector = collector_of(s)
        with collector.off():
            with (
                pytest.raises(ZeroDivisionError),
                collector.taking_in(LARGE, is_ordered=False),
            ):
                raise ZeroDivisionError
            assert not gc.isenabled()
        assert gc.isenabled()
        gc.disable()
        with collector.off():
            pass
        is_enabled = gc.isenabled()
        gc.enable()
        assert not is_enabled  # somebody else had turned them off


@gen_test()
async def test_collections_are_not_off_for_long(own_process, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_OFF", 0.0)
    async with lean() as s:
        with collector_of(s).off():
            await run_housekeeping(s)
            assert gc.isenabled()


@gen_test()
async def test_in_the_process_of_somebody_else_it_only_measures():
    before = gc.get_freeze_count()
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector = collector_of(s)
        held = await hold(s, c, 2 * LARGE)
        with collector.off():
            assert gc.isenabled()
        with collector.taking_in(LARGE, is_ordered=True):
            assert gc.isenabled()
        assert not collector.frozen
        assert gc.get_freeze_count() == before
        assert not collector.is_due(is_quiet=True, departed=1)
        gc.collect()
        assert 0 < collector.meter.longest <= collector.meter.seconds
        del held
    assert collector.meter.note not in gc.callbacks


@gen_test()
async def test_blocks_are_counted_or_estimated_where_python_does_not(monkeypatch):
    async with lean() as s:
        collector = Collector(s)
        assert collector.count_blocks() > 100_000
        rss = s.monitor.get_process_memory()
        monkeypatch.setattr("sys.getallocatedblocks", lambda: 0)
        assert collector.count_blocks() == pytest.approx(rss / BLOCK_BYTES, rel=0.1)
        collector.close()
