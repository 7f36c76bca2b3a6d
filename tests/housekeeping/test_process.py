from __future__ import annotations

import gc
import linecache
import subprocess
import sys
import weakref
from collections import deque

import distributed.scheduler
import distributed.semaphore
import psutil
import pytest
from distributed import Client
from distributed.utils import has_keyword
from distributed.utils_test import gen_test

from leandask import _compat
from leandask.housekeeping.process import (
    DEPARTED,
    GarbageCollector,
    HeapTrimmer,
    forget_source_lines,
    forget_warnings,
    reallocate,
    shrink_table,
    trim_heap,
)
from tests.helpers.schedulers import lean, run_housekeeping, until


def test_tables_shrink_in_place():
    table = {i for i in range(100_000)}
    for i in range(99_999):
        table.discard(i)
    before = sys.getsizeof(table)
    shrink_table(table)
    assert sys.getsizeof(table) < before / 100
    assert table == {99_999}


def test_reallocated_histories_hold_equal_copies():
    entries = [("key", {"x": [1.5]}), ("other", {})]
    history, unpicklable = deque(entries, maxlen=5), [lambda: None]
    ids = {id(entry) for entry in history}
    before = list(unpicklable)
    reallocate([history, unpicklable])
    assert list(history) == entries
    assert history.maxlen == 5
    assert not ids & {id(entry) for entry in history}
    assert unpicklable == before


class Broken(deque):
    def extend(self, entries):
        raise MemoryError("no memory at all")


def test_a_history_that_can_not_be_filled_again_leaves_the_others_whole(caplog):
    first, broken, last = deque([1]), Broken((2,)), deque([3])
    reallocate([first, broken, last])
    assert (first, last) == (deque([1]), deque([3]))
    assert "The entries of 'Broken' are lost" in caplog.text


def test_trimming_is_harmless():
    trim_heap()
    assert gc.isenabled()


def test_the_command_frees_large_messages_at_once_and_collects_little(start):
    def measure():
        import gc

        import psutil

        process = psutil.Process()
        before = process.memory_info().rss
        buffers = [bytearray(b"x") * 600_000 for _ in range(100)]
        # What is allocated after them would keep the heap from shrinking.
        after = bytearray(100_000)
        del buffers
        return gc.get_freeze_count(), process.memory_info().rss - before - len(after)

    _, file = start()
    with Client(scheduler_file=str(file)) as client:
        frozen, resident = client.run_on_scheduler(measure)
    assert frozen > 50_000
    assert resident < 5 * 2**20


def test_messages_are_packed_in_memory_that_stays():
    code = """if True:
        import resource
        import msgpack
        from leandask.housekeeping.process import tune_memory
        tune_memory()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for number in range(2000):
            # Some messages are packed while others are held.
            held = [bytes(100_000) for _ in range(number % 4)]
            msgpack.packb({"op": "task-finished"})
            del held
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        """
    faults = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert int(faults) < 1000  # 40,000 if the memory comes and goes


@pytest.mark.parametrize("module", [distributed.scheduler, distributed.semaphore])
@gen_test()
async def test_shown_warnings_are_forgotten_beyond_their_bound(module):
    async with lean() as s:
        shown = vars(module).setdefault("__warningregistry__", {})
        shown.clear()
        shown.update({(f"key {i}", UserWarning, 1): True for i in range(1000)})
        await run_housekeeping(s)
        assert len(shown) >= 1000
        shown["one more", UserWarning, 1] = True
        await run_housekeeping(s)
        assert not shown


@pytest.fixture
def no_gc():
    """Turn off automatic garbage collection."""
    gc.disable()
    yield
    gc.enable()


class Garbage:
    def __init__(self):
        self.cycle = self


def garbage_collector(s, **kwargs):
    return GarbageCollector(
        _compat.get_background_tasks(s),
        s.extensions["leandask"].collector,
        is_quiet=lambda: True,
        **kwargs,
    )


@gen_test()
async def test_garbage_of_clients_that_left_is_collected(no_gc):
    async with lean() as s:
        departed = _compat.get_background_tasks(s)
        collector = garbage_collector(s, largest_heap=10**9)
        lost = weakref.ref(Garbage())
        collector.collect_if_due()
        assert lost() is not None  # nobody left
        for _ in range(DEPARTED // 2):
            async with Client(s.address, asynchronous=True):
                pass
        await until(lambda: departed.seen >= DEPARTED)
        collector.collect_if_due()
        assert lost() is None


@gen_test()
async def test_garbage_is_collected_after_a_while_unless_the_heap_is_large(no_gc):
    async with lean() as s:
        lost = weakref.ref(Garbage())
        for not_due in (
            garbage_collector(s, largest_heap=10**9),
            garbage_collector(s, interval=0.0, largest_heap=0),
        ):
            not_due.collect_if_due()
            assert lost() is not None
        due = garbage_collector(s, interval=0.0, largest_heap=10**9)
        due.collect_if_due()
        assert lost() is None


@gen_test()
async def test_housekeeping_collects_garbage_and_trims_the_heap():
    async with lean() as s:
        jobs = s.extensions["leandask"].housekeeping.jobs
        owners = [getattr(job, "__self__", None) for job in jobs]
        kinds = {type(owner) for owner in owners}
        assert {GarbageCollector, HeapTrimmer} <= kinds


def test_folder_listings_are_forgotten_and_read_again():
    code = """if True:
        import sys
        from leandask.housekeeping.process import forget_folder_listings
        assert sys.path_importer_cache
        forget_folder_listings()
        print(len(sys.path_importer_cache))
        import colorsys
        print(len(sys.path_importer_cache) > 0)
        """
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.split() == ["0", "True"]


def test_lines_of_files_are_forgotten_and_those_of_a_notebook_stay():
    linecache.getline(__file__, 1)
    cell = (1, None, ["x = 1"], "<cell>")
    linecache.cache["<cell>"] = cell
    try:
        forget_source_lines()
        assert __file__ not in linecache.cache
        assert linecache.cache["<cell>"] == cell
    finally:
        del linecache.cache["<cell>"]
    assert linecache.getline(__file__, 1).startswith("from __future__")


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_the_heap_is_trimmed_when_it_is_due_and_the_process_is_small():
    process = psutil.Process()

    def get_rss():
        return process.memory_info().rss

    def leave_holes():
        blocks = [bytes(2**16) for _ in range(1000)]
        del blocks[1::2], blocks[::20]
        return blocks, get_rss()

    kept, before = leave_holes()
    HeapTrimmer(get_rss).trim_if_due()  # a minute from now
    HeapTrimmer(get_rss, interval=0.0, largest_rss=0).trim_if_due()
    assert get_rss() > before - 2**20
    trimmer = HeapTrimmer(get_rss, interval=0.0, largest_rss=2**40)
    trimmer.trim_if_due()
    assert get_rss() < before - 20 * 2**20
    kept_too, before = leave_holes()
    trimmer.trim_if_due()  # not before 10,000 times what that took
    assert get_rss() > before - 2**20
    assert len(kept) == len(kept_too)


@gen_test()
async def test_functions_that_clients_ran_are_forgotten():
    class Held:
        pass

    held = Held()
    alive = weakref.ref(held)

    def run(dask_scheduler, held=held):
        return len(dask_scheduler.workers)

    async with lean() as s, Client(s.address, asynchronous=True) as c:
        assert await c.run_on_scheduler(run) == 0
        assert has_keyword(run, "dask_scheduler")
        del run, held
        await run_housekeeping(s)
        assert has_keyword.cache_info().currsize < 10
        gc.collect()
        assert alive() is None


def test_shown_warnings_with_long_texts_are_forgotten(monkeypatch):
    shown = {("x" * 100_000, UserWarning, i): True for i in range(3)}
    shown["version"] = 1
    monkeypatch.setattr(
        distributed.scheduler, "__warningregistry__", shown, raising=False
    )
    forget_warnings()
    assert shown == {}
