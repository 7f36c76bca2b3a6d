from __future__ import annotations

import gc
import operator

import pytest

from leandask.tasks.sharedset import EMPTY, SharedSet, SharedSets
from tests.helpers.sets import assert_copied_and_dumped_as_a_set


@pytest.fixture(params=[(), ("a",), ("a", "b")])
def members(request):
    return set(request.param)


ACTS = [
    lambda s: s.add("c"),
    lambda s: s.add("a"),
    lambda s: s.discard("a"),
    lambda s: s.discard("c"),
    lambda s: s.remove("a"),
    lambda s: s.remove("c"),
    lambda s: s.pop(),
    lambda s: s.clear(),
    lambda s: s.update(["a"]),
    lambda s: s.update(["a"], ["c"]),
    lambda s: s.intersection_update(["a", "b", "c"]),
    lambda s: s.intersection_update([]),
    lambda s: s.difference_update(["a"]),
    lambda s: s.difference_update(["c"]),
    lambda s: s.symmetric_difference_update(["a"]),
    lambda s: s.symmetric_difference_update([]),
    lambda s: operator.ior(s, {"c"}),
    lambda s: operator.ior(s, {"a"}),
    lambda s: operator.iand(s, set()),
    lambda s: operator.isub(s, {"a"}),
    lambda s: operator.ixor(s, {"a"}),
]


@pytest.mark.parametrize("act", ACTS)
def test_what_would_change_it_is_refused_and_what_would_not_is_done(members, act):
    model, shared = set(members), SharedSet(members)
    expected = ()
    try:
        expected = (act(model),)
    except KeyError:
        with pytest.raises(KeyError):
            act(shared)
        return
    if model == members:
        assert expected == (act(shared),)
    else:
        with pytest.raises(TypeError, match="can't change a set that many tasks share"):
            act(shared)
    assert shared == members


@pytest.mark.parametrize("other", [set(), {"a"}, {"a", "c"}])
@pytest.mark.parametrize("kind", [set, frozenset, SharedSet, dict.fromkeys])
def test_it_takes_part_in_operations_and_what_they_return_can_change(
    members, other, kind
):
    shared, second = SharedSet(members), kind(other)
    if kind == dict.fromkeys:
        second = second.keys()
    for name in ("and_", "or_", "sub", "xor"):
        operate = getattr(operator, name)
        assert operate(shared, second) == operate(members, other)
        assert operate(second, shared) == operate(other, members)
        assert type(operate(shared, second)) is set
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        operate = getattr(operator, name)
        assert operate(shared, second) is operate(members, other)
        assert operate(second, shared) is operate(other, members)
    for name in ("union", "intersection", "difference", "symmetric_difference"):
        answer = getattr(shared, name)(second)
        assert type(answer) is set
        assert answer == getattr(members, name)(other)
        assert getattr(set, name)(shared, second) == answer


def test_a_shared_set_is_copied_and_dumped_as_a_set(members):
    shared = SharedSet(members)
    assert_copied_and_dumped_as_a_set(shared, members)


def test_the_empty_set_is_cleared_as_often_as_upstream_does():
    EMPTY.clear()
    EMPTY.discard("x")
    with pytest.raises(KeyError):
        EMPTY.remove("x")
    assert not EMPTY


class Client:
    """Equal to any other, as a client that comes back is to the one that left."""

    def __hash__(self):
        return 1

    def __eq__(self, other):
        return True


def test_each_member_has_one_set_as_long_as_a_task_has_it():
    sets = SharedSets()
    first, second = Client(), Client()
    shared = sets.of(first)
    assert sets.of(first) is shared
    assert next(iter(sets.of(first))) is first
    kept = sets.of(second)
    assert next(iter(kept)) is second
    assert len(sets) == 2
    del shared
    gc.collect()
    assert len(sets) == 1
