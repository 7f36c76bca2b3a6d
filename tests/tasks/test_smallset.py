from __future__ import annotations

import json
import operator
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from leandask.tasks.sharedset import SharedSet
from leandask.tasks.smallset import FEW, LargeSet, SmallSet, small_set
from tests.helpers.sets import assert_copied_and_dumped_as_a_set

MEMBERS = st.integers(0, 12)
SETS = st.sets(MEMBERS, max_size=12)


def grown(members):
    """Return a small set, or a large one, that got its members one by one."""
    small = SmallSet()
    for member in members:
        small.add(member)
    return small


#: What may stand on the other side of an operator.
OTHERS = [
    set,
    frozenset,
    grown,
    SharedSet,
    lambda members: dict.fromkeys(members).keys(),
]
CHANGES = [
    *("update", "intersection_update", "difference_update"),
    "symmetric_difference_update",
]
QUESTIONS = ["union", "intersection", "difference", "symmetric_difference"]


class SmallSets(RuleBasedStateMachine):
    """A small set does what a set does, whatever is done to it."""

    def __init__(self):
        super().__init__()
        self.model, self.small = set(), SmallSet()
        self.also = self.small  # it is the same object all the time

    def both(self, act):
        outcomes = []
        for members in (self.model, self.small):
            try:
                outcomes.append(act(members))
            except KeyError as exc:
                outcomes.append(("KeyError", *exc.args))
        assert outcomes[0] == outcomes[1]

    @rule(member=MEMBERS, name=st.sampled_from(["add", "discard", "remove"]))
    def change_one(self, member, name):
        self.both(lambda members: getattr(members, name)(member))

    @rule(others=st.lists(SETS, max_size=2), name=st.sampled_from(CHANGES))
    def change_many(self, others, name):
        if name == "symmetric_difference_update":
            others = (*others, set())[:1]
        self.both(lambda members: getattr(members, name)(*others))

    @rule(
        other=SETS,
        kind=st.sampled_from(OTHERS[:4]),
        name=st.sampled_from(["ior", "iand", "isub", "ixor"]),
    )
    def change_in_place(self, other, kind, name):
        operate = getattr(operator, name)
        self.model = operate(self.model, other)
        self.small = operate(self.small, kind(other))

    @rule()
    def pop(self):
        if self.model:
            self.model.remove(self.small.pop())
        else:
            with pytest.raises(KeyError):
                self.small.pop()

    @rule()
    def clear(self):
        self.both(lambda members: members.clear())

    @rule(other=SETS, kind=st.sampled_from(OTHERS))
    def compare(self, other, kind):
        for name in ("eq", "ne", "lt", "le", "gt", "ge"):
            operate = getattr(operator, name)
            assert operate(self.small, kind(other)) is operate(self.model, other)
            assert operate(kind(other), self.small) is operate(other, self.model)

    @rule(other=SETS, kind=st.sampled_from(OTHERS))
    def operate(self, other, kind):
        for name in ("and_", "or_", "sub", "xor"):
            operate = getattr(operator, name)
            assert operate(self.small, kind(other)) == operate(self.model, other)
            assert operate(kind(other), self.small) == operate(other, self.model)
        assert {*other} | self.small == {*other} | self.model

    @rule(others=st.lists(SETS, min_size=1, max_size=2))
    def ask(self, others):
        for name in QUESTIONS:
            many = others[:1] if name == "symmetric_difference" else others
            answer = getattr(self.small, name)(*many)
            assert type(answer) is set
            assert answer == getattr(self.model, name)(*many)
        for name in ("issubset", "issuperset", "isdisjoint"):
            self.both(lambda members, name=name: getattr(members, name)(others[0]))

    @invariant()
    def is_the_same(self):
        assert self.small is self.also
        assert self.small == self.model
        assert self.model == self.small
        assert len(self.small) == len(self.model) == len(list(self.small))
        assert bool(self.small) is bool(self.model)
        assert set(self.small) == self.model == {*self.small} == set(tuple(self.small))
        assert all((i in self.small) == (i in self.model) for i in range(14))


TestSmallSets = SmallSets.TestCase


@given(SETS)
def test_a_small_set_is_copied_and_dumped_as_a_set(members):
    small = grown(members)
    assert_copied_and_dumped_as_a_set(small, members)
    assert sorted(json.loads(json.dumps(small))) == sorted(members)


@pytest.mark.parametrize("n", [3, FEW + 3])
def test_what_changes_no_set_in_place_changes_no_small_set(n):
    """Python makes another set of ``a |= b`` where `b` is a view of a dict."""
    small = also = grown(range(n))
    small |= {"x": 1}.keys()
    small -= {0: 1}.keys()
    assert small == {*range(1, n), "x"}
    assert also == set(range(n))


@pytest.mark.parametrize("n", [3, FEW + 3])
def test_a_small_set_has_no_order(n):
    small = grown(range(n))
    for act in (
        lambda: small[0],
        lambda: small.__setitem__(0, 1),
        lambda: small + small,
        lambda: operator.add([1], small),
        lambda: small * 2,
        lambda: reversed(small),
        lambda: hash(small),
        lambda: small < [1],
        lambda: small | [1],
    ):
        with pytest.raises(TypeError):
            act()
    for name in ("append", "count", "extend", "index", "insert", "reverse", "sort"):
        with pytest.raises(AttributeError, match=f"is a set: it has no '{name}'"):
            getattr(small, name)
    assert small != list(range(n))
    assert list(range(n)) != small


@pytest.mark.parametrize("n", [3, FEW + 3])
def test_a_set_that_is_changed_in_place_by_a_small_one_stays_the_same_object(n):
    """Python asks for ``a | b`` where a set does not know the class of `b`."""

    def visit(task, seen):
        seen |= task

    seen, small = {-1}, grown(range(n))
    visit(small, seen)
    assert seen == {-1, *range(n)}
    also = seen
    seen -= small
    assert also is seen
    assert seen == {-1}
    seen ^= small
    assert also is seen
    seen &= small
    assert also is seen
    assert seen == set(range(n))
    made = seen | small
    assert made is not seen


def test_the_size_of_a_small_set():
    """A list has a header of the garbage collector, of 16 bytes."""
    sizes = []
    small = SmallSet()
    for i in range(FEW):
        small.add(i)
        sizes.append(sys.getsizeof(small))
    assert sizes[1] <= 80
    assert sizes[-1] <= 128
    assert sys.getsizeof(SmallSet([0])) <= 80
    assert sys.getsizeof(small_set({0, 1})) <= 80


def test_many_members_are_found_at_once():
    class Member:
        compared = 0

        def __hash__(self):
            return id(self) // 16

        def __eq__(self, other):
            Member.compared += 1
            return self is other

    members = [Member() for _ in range(1000)]
    large = grown(members)
    assert type(large) is LargeSet
    for member in members:
        assert member in large
        large.discard(member)
    assert len(large) == 0
    assert Member.compared < 20 * len(members)


def test_a_set_of_many_stays_a_set():
    members = set(range(FEW + 1))
    assert small_set(members) is members
