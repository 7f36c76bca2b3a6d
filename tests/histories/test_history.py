from __future__ import annotations

import pickle
from collections import deque

from distributed.batched import BatchedSend
from distributed.utils_test import gen_test

from leandask.histories.history import Connections, History


def test_history_is_bounded_and_counts_all():
    history = History(range(5), maxlen=3)
    history.append(5)
    assert list(history) == [3, 4, 5]
    assert repr(history) == "<History: 3/3, 6 seen>"


def test_a_history_reaches_a_client_as_a_deque():
    history = History([1, 2], 2)
    copy = pickle.loads(pickle.dumps(history))
    assert type(copy) is deque
    assert (list(copy), copy.maxlen) == (list(history), 2)


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
