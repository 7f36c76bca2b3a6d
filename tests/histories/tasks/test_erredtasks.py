from __future__ import annotations

import pickle
from collections import deque

import pytest
from distributed.scheduler import ErredTask

from leandask.histories.names import Limit
from leandask.histories.tasks.erredtasks import ErredTasks


def erred(i: int) -> ErredTask:
    return ErredTask(f"x-{i}", float(i), {"w"}, "e" * 1000, "t" * 1000)


def test_erred_tasks_reach_a_client_as_a_deque():
    history = ErredTasks([erred(1)], 2, length=9)
    copy = pickle.loads(pickle.dumps(history))
    assert type(copy) is deque
    assert (list(copy), copy.maxlen) == (list(history), 2)


def test_erred_tasks_keep_the_newest_and_the_heads_of_their_texts():
    history = ErredTasks([erred(3), erred(2), erred(1)], maxlen=2, length=10)
    assert [e.key for e in history] == ["x-3", "x-2"]
    new = erred(4)
    history.appendleft(new)
    assert [e.key for e in history] == ["x-4", "x-3"]
    assert {len(e.exception_text) for e in history} == {10}
    assert {len(e.traceback_text) for e in history} == {10}
    assert len(new.exception_text) == 1000


@pytest.mark.parametrize(("length", "kept"), [(None, 1000), (0, 0)])
def test_error_length_none_keeps_whole_texts_and_zero_nothing(length, kept):
    history = ErredTasks([erred(1)], maxlen=None, length=length)
    assert len(history[0].traceback_text) == kept


def test_long_keys_are_cut_and_take_the_place_of_others():
    limit = Limit(20 * 3000, each=3000)
    history = ErredTasks([erred(i) for i in range(20)], 20, limit, length=10)
    new = erred(20)
    new.key = "x" * 100_000
    history.appendleft(new)
    assert history[0].key == "x" * 2048 + "..."
    assert len(new.key) == 100_000
    assert len(history) == 19  # the key takes the place of the two oldest
    for i in range(100):
        history.appendleft(erred(i))
    assert (len(history), history.weight) == (20, 0)


def test_what_erred_tasks_take_follows_their_texts():
    short, long = (ErredTasks([erred(1)], 9, length=n) for n in (10, 1000))
    assert long.nbytes - short.nbytes == 2 * 990
    assert 500 < short.nbytes < 700
