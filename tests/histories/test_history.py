from __future__ import annotations

import pickle
from collections import deque

import pytest
from distributed.batched import BatchedSend
from distributed.scheduler import ErredTask, Transition
from distributed.utils_test import gen_test

from leandask.histories.connections import Connections
from leandask.histories.history import ErredTasks, History, TransitionLog


def erred(i: int) -> ErredTask:
    return ErredTask(f"x-{i}", float(i), {"w"}, "e" * 1000, "t" * 1000)


def test_history_is_bounded_and_counts_all():
    history = History(range(5), maxlen=3)
    history.append(5)
    assert list(history) == [3, 4, 5]
    assert repr(history) == "<History: 3/3, 6 seen>"


@pytest.mark.parametrize(
    "history", [History([1, 2], 2), ErredTasks([erred(1)], 2, length=9)]
)
def test_a_history_reaches_a_client_as_a_deque(history):
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


@gen_test()
async def test_connections_bound_streams_old_and_new():
    old, new = BatchedSend("5ms"), BatchedSend("5ms")
    old.recent_message_log.extend(range(10))
    left = []
    connections = Connections({"old": old}, 2, on_leave=left.append)
    connections["new"] = new
    assert list(old.recent_message_log) == [8, 9]
    assert new.recent_message_log.maxlen == 2
    del connections["old"]
    assert (left, list(connections)) == (["old"], ["new"])


def test_the_log_keeps_the_first_recommendations_and_streams_all():
    streamed = []
    log = TransitionLog((), 10, None, streamed.append)
    recommendations = {f"task-{i}": "waiting" for i in range(5000)}
    transition = Transition("x", "processing", "memory", recommendations, "s", 1.0)
    log.append(transition)
    assert streamed == [transition]
    [kept] = log
    assert kept == transition._replace(recommendations=kept.recommendations)
    assert len(kept.recommendations) == 1000
    assert kept.recommendations.items() < recommendations.items()
