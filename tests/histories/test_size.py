from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest

from leandask.histories.size import UNKNOWN, size_of


@pytest.mark.parametrize(
    "make",
    [
        lambda: {f"key-{i}": [i * 1000, f"{i:050}"] for i in range(100)},
        lambda: [{f"action-{i}": {f"a{i}", f"b{i}"}} for i in range(100)],
        lambda: {"function": bytes(100_000)},
    ],
)
def test_it_is_about_what_is_allocated(make):
    tracemalloc.start()
    msg = make()
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.7 < size_of(msg, 10**9)[0] / allocated < 1.6


def test_the_work_is_bounded_also_for_cycles_and_large_containers():
    cycle: list = []
    cycle.append(cycle)
    assert 1000 < size_of(cycle, 1000)[0] < 1100
    large = [None] * 10**6
    assert size_of([large] * 10, 10_000)[0] < 10 * sys.getsizeof(large)


def test_arrays_count_with_their_data_and_hostile_objects_by_a_guess():
    assert size_of({"x": np.zeros(1000)}, 10**6)[0] > 8000

    class Hostile:
        def __sizeof__(self):
            raise RuntimeError("no")

    assert size_of(Hostile(), 10**6) == (UNKNOWN, False)
