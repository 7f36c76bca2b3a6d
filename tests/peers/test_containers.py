from __future__ import annotations

import gc
import pickle
import sys
from collections import deque

import pytest
from distributed.utils import recursive_to_dict
from hypothesis import given
from hypothesis import strategies as st

from leandask.peers.levels import Levels, Stealable
from leandask.peers.ondemand import DequeOnDemand, SetOnDemand
from leandask.peers.samples import MemorySamples
from leandask.peers.told import LONGEST, MOST, Texts

NUMBERS = st.integers(0, 5)
DEQUE_STEPS = st.sampled_from(
    ["append", "popleft", "clear", "pop", "appendleft", "extend", "remove", "rotate"]
)
SET_STEPS = st.sampled_from(
    ["add", "discard", "remove", "clear", "pop", "update", "difference_update"]
)


def outcome(container, step, number):
    """What a method returns, or the type of what it raises."""
    many = step in ("extend",) or step.endswith("update")
    takes = step not in ("popleft", "clear", "pop")
    given = ([number, number + 1] if many else number,) if takes else ()
    try:
        return getattr(container, step)(*given)
    except (IndexError, KeyError, ValueError) as error:
        return type(error)


@given(st.lists(st.tuples(DEQUE_STEPS, NUMBERS)))
def test_a_deque_on_demand_does_what_a_deque_does(steps):
    ours, theirs = DequeOnDemand([1]), deque([1])
    for step, number in steps:
        assert outcome(ours, step, number) == outcome(theirs, step, number)
        assert (len(ours), list(ours), bool(ours)) == (
            (len(theirs), list(theirs), bool(theirs))
        )
        if theirs:
            assert (ours[0], ours[-1]) == (theirs[0], theirs[-1])
        else:
            with pytest.raises(IndexError, match="deque index out of range"):
                ours[0]


@given(st.lists(st.tuples(SET_STEPS, NUMBERS)))
def test_a_set_on_demand_does_what_a_set_does(steps):
    ours, theirs = SetOnDemand([1]), {1}
    for step, number in steps:
        if step != "pop":
            assert outcome(ours, step, number) == outcome(theirs, step, number)
        elif theirs:
            theirs.remove(ours.pop())
        assert ours == theirs and theirs == ours and len(ours) == len(theirs)
        for other in ({1, 2}, frozenset(), SetOnDemand([2, 3])):
            plain = set(other)
            assert type(ours & other) is set
            assert (ours & other, ours | other) == (theirs & plain, theirs | plain)
            assert (ours - other, ours ^ other) == (theirs - plain, theirs ^ plain)
            assert (plain - ours, plain & ours) == (plain - theirs, plain & theirs)
            assert (ours <= other, ours > other) == (theirs <= plain, theirs > plain)
            assert ours.issubset(other) == theirs.issubset(plain)
            assert ours.isdisjoint(other) == theirs.isdisjoint(plain)
        assert sorted(recursive_to_dict(ours)) == sorted(theirs)
        assert type(pickle.loads(pickle.dumps(ours))) is set


def test_what_is_empty_is_small():
    for empty in (DequeOnDemand(), SetOnDemand()):
        assert sys.getsizeof(empty) <= 48
        assert gc.get_referents(empty) in ([None, type(empty)], [type(empty)])
    full = DequeOnDemand()
    full.append(1)
    full.popleft()
    assert full._items is None


SAMPLES = st.tuples(st.floats(0, 2e9), st.integers(0, 2**50))


@given(st.lists(SAMPLES), st.lists(SAMPLES))
def test_memory_samples_are_those_of_a_deque(first, more):
    ours, theirs = MemorySamples(first), deque(first)
    for sample in more:
        ours.append(sample)
        theirs.append(sample)
        assert (ours[0], ours[-1], len(ours)) == (theirs[0], theirs[-1], len(theirs))
    assert list(ours) == list(theirs) == ours[:]
    assert all(type(nbytes) is int for _, nbytes in ours)
    assert pickle.loads(pickle.dumps(ours)) == theirs
    while theirs:
        assert ours.popleft() == theirs.popleft()
    assert not ours
    with pytest.raises(IndexError):
        ours.popleft()


def test_memory_samples_take_what_else_a_deque_takes():
    samples = MemorySamples([(1.0, 10), (2.0, 20)])
    samples.insert(0, (0.0, 5))
    samples[1] = (1.5, 15)
    del samples[2]
    assert list(samples) == [(0.0, 5), (1.5, 15)]
    samples.extend([(3.0, 0.5)])
    assert samples.pop() == (3.0, 0.5)
    samples.clear()
    assert len(samples) == 0
    with pytest.raises(TypeError, match="must be real number"):
        samples.append((1.0, "many"))


def test_levels_read_as_a_tuple_of_sets():
    stealable = Stealable({"a": tuple(set() for _ in range(15))})
    stealable["b"] = ({1}, set())
    assert stealable["b"] == ({1}, set())
    levels = stealable["a"]
    assert type(levels) is Levels and len(levels) == 15
    levels[3].add("task")
    assert levels[3] == levels[-12] == {"task"}
    assert [len(tasks) for tasks in levels] == [0, 0, 0, 1] + [0] * 11
    assert levels[2:4] == (set(), {"task"})
    with pytest.raises(IndexError):
        levels[15]
    levels.forget_empty()
    assert levels._sets == {3: {"task"}}
    assert pickle.loads(pickle.dumps(stealable))["a"][3] == {"task"}
    assert recursive_to_dict(levels)[3] == ["task"]
    assert "1 tasks in 15 levels" in repr(levels)


def test_equal_texts_are_one_object_and_each_peer_has_dicts_of_its_own():
    texts = Texts()
    first, second = (
        {"packages": {"a": f"{2}.0"}, "host": {"b": ["c"], "n": 1}} for _ in range(2)
    )
    for told in (first, second):
        texts.share(told)
    assert first == second == {"packages": {"a": "2.0"}, "host": {"b": ["c"], "n": 1}}
    assert first["packages"]["a"] is second["packages"]["a"]
    second["packages"]["a"] = "3.0"
    assert first["packages"] == {"a": "2.0"}


def test_texts_that_are_known_are_few_and_short():
    texts = Texts()
    texts.share({str(i): str(i) for i in range(2 * MOST)})
    assert 0 < len(texts) <= MOST
    before = len(texts)
    texts.share({"long": "x" * (LONGEST + 1)})
    assert len(texts) == before
