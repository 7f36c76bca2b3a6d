from __future__ import annotations

import gc
import tracemalloc

import pytest
from distributed.scheduler import Computation, TaskGroup, TaskPrefix
from distributed.utils_test import gen_test

from leandask.histories.sizes import size_of
from leandask.histories.spans.groups import (
    CODE_BYTES,
    OTHER_TYPES,
    TYPES_KEPT,
    fold_dead_groups,
    fold_types,
)
from tests.helpers.schedulers import lean, run_housekeeping

LONG = "x" * 100_000


def test_types_of_a_group_are_bounded_and_their_sums_stay():
    prefix = TaskPrefix("make")
    group, other = TaskGroup("make-1", prefix), TaskGroup("make-2", prefix)
    for i in range(10 * TYPES_KEPT):
        group.add_type(f"mine.Type{i}")
        fold_types(group)
    for name in (LONG, "int"):
        other.add_type(name)
    fold_types(other)
    assert len(group.types) == TYPES_KEPT + 1
    assert sum(group._types.values()) == 10 * TYPES_KEPT
    assert other._types == {"int": 1, OTHER_TYPES: 1}
    prefix.remove_group(group)
    assert prefix._types == {"int": 1, OTHER_TYPES: 1}
    prefix.remove_group(other)
    assert prefix._types == {}


@gen_test()
async def test_types_in_groups_that_never_end_are_bounded():
    async with lean() as s:
        group = TaskGroup("make-1", TaskPrefix("make"))
        s.task_groups[group.name] = group
        for i in range(10 * TYPES_KEPT):
            group.add_type(f"mine.Type{i}")
        await run_housekeeping(s)
        assert len(group.types) == TYPES_KEPT + 1
        del s.task_groups[group.name]


@gen_test()
async def test_names_of_dead_groups_are_cut_and_those_of_live_ones_stay():
    async with lean() as s:
        dead, live = [TaskGroup(f"{LONG}-{i}", TaskPrefix(LONG)) for i in range(2)]
        s.task_groups[live.name] = live
        s.task_prefixes[LONG] = live.prefix
        groups = {dead, live}
        fold_dead_groups(groups, s)
        assert groups == {dead, live}
        assert len(dead.name) == len(dead.prefix.name) == 2051
        assert live.name == f"{LONG}-1" and live.prefix.name == LONG
        del s.task_groups[live.name]


@gen_test()
async def test_computations_that_ended_make_room_for_what_they_weigh():
    async with lean(retention={"computations": 20, "budget": None}) as s:
        for i in range(20):
            computation = Computation()
            computation.code.add((f"{i:02}" * 30_000,))
            computation.code.add((LONG,))
            s.computations.append(computation)
        await run_housekeeping(s)
        assert all(
            [len(code) for (code,) in c.code] == [60_000] for c in s.computations
        )
        # Eight times what 20 of them take.
        assert len(s.computations) == 9
        assert s.computations[-1] is computation
        held = s.extensions["leandask"].report()["histories"]["computations"]
        assert held["bytes"] <= 8 * held["bound_bytes"]


@gen_test()
async def test_a_computation_that_never_ends_keeps_its_last_annotations():
    async with lean(retention={"spans": 100}) as s:
        computation = Computation()
        s.computations.append(computation)
        for i in range(300):
            computation.annotations[f"few-{i}"] = i
        await run_housekeeping(s)
        assert [*computation.annotations.values()] == [*range(200, 300)]
        for i in range(20):
            computation.annotations[f"{i}-{LONG}"] = LONG
        await run_housekeeping(s)
        assert size_of(computation.annotations, 10**7)[0] < CODE_BYTES + 10_000


@gen_test()
async def test_the_report_counts_groups_prefixes_and_types_within_20_percent():
    async with lean() as s:
        tracemalloc.start(20)
        try:
            for i in range(8):
                s.computations.append(make_computation(i, groups=10, types=20))
            s.computations.append(Computation())
            s.computations.prune(s, 100)
            held = s.extensions["leandask"].report()["histories"]["computations"]
            before = traced()
            s.computations.clear()
            gc.collect()
            freed = before - traced()
        finally:
            tracemalloc.stop()
        assert held["bytes"] == pytest.approx(freed, rel=0.2)


def traced():
    """Bytes of what `make_computation` made; other threads allocate meanwhile."""
    traces = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, __file__, all_frames=True)]
    )
    return sum(trace.size for trace in traces.traces)


def make_computation(number, groups, types):
    """Make a computation whose groups have prefixes of their own."""
    computation = Computation()
    for i in range(groups):
        name = f"name-{number}-{i}"
        group = TaskGroup(f"{name}-{number:032x}", TaskPrefix(name))
        group.add_duration("compute", 0.0, 1.0 + number)
        for each in range(types):
            group.add_type(f"mine.Type{each}")
        computation.groups.add(group)
    return computation
