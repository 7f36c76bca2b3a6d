from __future__ import annotations

import pickle
import sys

import pytest
from distributed.collections import HeapSet
from hypothesis import given
from hypothesis import strategies as st

from leandask import _compat
from leandask.tasks.taskqueue import TaskQueue


class Task:
    def __init__(self, name, priority):
        self.name, self.priority = name, priority

    def __repr__(self):
        return f"{self.name}:{self.priority}"


def priority(task):
    return task.priority


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "discard", "remove", "pop", "peek", "peekn", "change", "clear"]
        ),
        st.integers(0, 11),
    ),
    max_size=60,
)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=12), ACTS)
def test_it_does_what_upstreams_does_in_the_same_order(priorities, acts):
    """Ties go by the order of arrival. A priority that changes moves nothing."""
    tasks = [Task(i, p) for i, p in enumerate(priorities)]
    left = set()  # these may have any place in upstream's, if they come back
    ours, theirs = TaskQueue(key=priority), HeapSet(key=priority)
    for act, i in acts:
        task = tasks[i]
        if act == "add":
            if i in left:
                continue
            ours.add(task)
            theirs.add(task)
        elif act in ("discard", "remove"):
            if task in theirs:
                left.add(i)
            elif act == "remove":
                with pytest.raises(KeyError):
                    ours.remove(task)
                continue
            getattr(ours, act)(task)
            getattr(theirs, act)(task)
        elif act == "change":
            task.priority += 2
        elif act == "clear":
            left.update(task.name for task in theirs)
            ours.clear()
            theirs.clear()
        elif act == "peekn":
            assert list(ours.peekn(i - 1)) == list(theirs.peekn(i - 1))
        elif theirs:
            expected = getattr(theirs, act)()
            assert getattr(ours, act)() is expected
            if act == "pop":
                left.add(expected.name)
        else:
            with pytest.raises(KeyError):
                getattr(ours, act)()
        assert list(ours.sorted()) == list(theirs.sorted())
        assert set(ours) == set(theirs)
        assert len(ours) == len(theirs)
        assert bool(ours) is bool(theirs)
        assert all((task in ours) is (task in theirs) for task in tasks)


def test_a_task_among_many_of_its_priority_is_not_searched_for():
    class Compared(Task):
        n = 0

        def __eq__(self, other):
            Compared.n += 1
            return self is other

        __hash__ = object.__hash__

    queue = TaskQueue(key=priority)
    tasks = [Compared(i, 0) for i in range(1000)]
    for task in tasks:
        queue.add(task)
    for task in tasks[:0:-1]:
        queue.discard(task)
    assert list(queue.sorted()) == tasks[:1]
    assert queue.pop() is tasks[0]
    assert Compared.n < 10


def test_an_empty_queue_takes_no_room():
    queue = TaskQueue(key=priority)
    small = sys.getsizeof(queue._data), sys.getsizeof(queue._by_priority)
    tasks = [Task(i, i) for i in range(1000)]
    for task in tasks:
        queue.add(task)
    for task in tasks[:-1]:
        queue.discard(task)
    assert queue.pop() is tasks[-1]
    after = sys.getsizeof(queue._data), sys.getsizeof(queue._by_priority)
    assert after == small


def test_the_last_task():
    queue = TaskQueue(key=priority)
    for name in ("peekright", "popright"):
        with pytest.raises(KeyError):
            getattr(queue, name)()
    first, last = Task("first", 1), Task("last", 2)
    queue.add(last)
    queue.add(first)
    assert queue.peekright() is last
    assert queue.popright() is last
    assert list(queue) == [first]
    assert repr(queue) == "<TaskQueue: 1 items>"


def test_it_is_pickled_as_upstreams():
    queue = TaskQueue(key=len)
    for value in ("three", "two", "one"):
        queue.add(frozenset(value))
    made = pickle.loads(pickle.dumps(queue))
    assert type(made) is HeapSet
    assert list(made.sorted()) == list(queue.sorted())


def test_housekeeping_has_nothing_to_compact():
    queue = TaskQueue(key=priority)
    tasks = [Task(i, i) for i in range(3000)]
    for task in tasks:
        queue.add(task)
    for task in tasks[:-1]:
        queue.discard(task)
    _compat.compact_heap(queue)
    assert list(queue.sorted()) == tasks[-1:]
