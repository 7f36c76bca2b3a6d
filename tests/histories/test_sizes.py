from __future__ import annotations

import gc
import sys
import tracemalloc
from weakref import WeakSet

import numpy as np
import pytest
from dask.sizeof import sizeof

from leandask.histories.sizes import UNKNOWN_BYTES, size_of
from leandask.histories.topics.packed import PackedEvents, Total


@pytest.mark.parametrize(
    "make",
    [
        lambda: {f"key-{i}": [i * 1000, f"{i:050}"] for i in range(100)},
        lambda: [{f"action-{i}": {f"a{i}", f"b{i}"}} for i in range(100)],
        lambda: {"function": bytes(100_000)},
    ],
)
def test_the_estimated_size_is_close_to_what_is_allocated(make):
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

    assert size_of(Hostile(), 10**6) == (UNKNOWN_BYTES, False)


def made_anew(i):
    """Objects of classes that nothing else refers to."""
    kind = type(f"Kind{i}", (), {})
    kinds = [type(f"{base.__name__}{i}", (base,), {}) for base in (dict, list, tuple)]
    objects = [kind(), *(made({kind(): 1}) for made in kinds)]
    return objects, [kind, *kinds]


def test_sizes_keep_no_class_alive():
    size_of(made_anew("warm-up")[0], 10**6)
    taught, alive = len(sizeof._lookup), WeakSet()
    for i in range(100):
        objects, kinds = made_anew(i)
        alive.update(kinds)
        events = PackedEvents(10, Total())
        events.append((0.0, objects))
    del objects, kinds, events
    gc.collect()
    assert len(sizeof._lookup) == taught
    assert len(alive) == 0


def test_the_parts_of_other_containers_are_measured():
    class Mapping(dict):
        pass

    class Sequence(list):
        pass

    text = "x" * 5000
    for msg in (Mapping(a=text), Sequence([text]), [Mapping(a=[Sequence([text])])]):
        assert 5000 < size_of(msg, 10**6)[0] < 6000


def test_a_size_that_a_user_registered_counts():
    class Mine:
        pass

    sizeof.register(Mine, lambda obj: 12_345)
    try:
        assert size_of(Mine(), 10**6) == (12_345, False)
        assert size_of(type("Child", (Mine,), {})(), 10**6) == (12_345, False)
    finally:
        del sizeof._lookup[Mine]
