from __future__ import annotations

import pickle
import random
from collections import deque

import pytest
from distributed.protocol import Serialized, dumps, loads

from leandask.histories import taskbuffer
from leandask.histories.names import Limit
from leandask.histories.taskbuffer import TaskBuffer
from leandask.histories.tasks.taskblock import Block


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(taskbuffer, "BLOCK", 8)


def task(i: int, **fields: object) -> dict[str, object]:
    startstops = ({"action": "compute", "start": i, "stop": i + 0.5},)
    return {"key": f"x-{i}", "startstops": startstops, **fields}


def numbers(buffer):
    return [int(each["key"][2:]) for each in buffer]


def filled(n: int, *, bound: int | None = 5, most: int | None = None) -> TaskBuffer:
    buffer = TaskBuffer([], bound, most)
    buffer.is_watched = True
    for i in range(n):
        buffer.append(task(i))
    return buffer


@pytest.mark.parametrize("bound", [0, 1, 5, 100, None])
def test_all_tasks_are_read_back_while_somebody_watches(bound):
    buffer = filled(70, bound=bound)
    assert list(buffer) == [task(i) for i in range(70)]
    assert (buffer[-1], buffer[0], buffer[9:11]) == (task(69), task(0), buffer[9:11])
    assert numbers(reversed(buffer)) == [*reversed(range(70))]
    with pytest.raises(IndexError, match=r"has no index 70"):
        buffer[70]


def test_an_answer_has_any_of_the_tasks():
    buffer = filled(43)
    everything = loads(dumps([*buffer]))
    for begin in range(0, 44, 3):
        for end in range(begin, 44, 5):
            answer = loads(dumps(buffer.answer(begin, end)))
            assert answer == everything[begin:end]


def test_an_answer_unpacks_its_first_block_alone(monkeypatch):
    buffer, unpacked = filled(45), []
    unpack = Block.unpack
    monkeypatch.setattr(
        Block, "unpack", lambda self: unpacked.append(self) or unpack(self)
    )
    assert buffer.answer(0, 45)
    assert unpacked == []
    assert buffer.answer(3, 45)
    assert [block.earliest for block in unpacked] == [0.5]


def test_only_the_last_are_kept_while_nobody_watches():
    buffer = filled(70)
    buffer.is_watched = False
    assert (numbers(buffer), buffer.nbytes, buffer.n_older) == ([*range(65, 70)], 0, 0)
    for i in range(70, 90):
        buffer.append(task(i))
    assert numbers(buffer) == [*range(85, 90)]
    assert (buffer.evicted_from, buffer.evicted_until) == (0.5, 84.5)


@pytest.mark.parametrize("most", [5, 7, 12, 20, 40])
def test_upstreams_bound_holds_while_somebody_watches(most):
    buffer = filled(100, most=most)
    assert most - 8 < len(buffer) <= most
    assert numbers(buffer) == [*range(100 - len(buffer), 100)]
    assert buffer.evicted_until == 99 - len(buffer) + 0.5


def test_packed_tasks_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(taskbuffer, "MOST_BYTES", 20_000)
    buffer = filled(0)
    noise = random.Random(0)
    for i in range(200):
        buffer.append(task(i, exception=noise.randbytes(500)))
    assert buffer.nbytes < 20_000 + 8 * taskbuffer.TASK_BYTES
    assert 20 < len(buffer) < 60
    assert numbers(buffer) == [*range(200 - len(buffer), 200)]


def test_a_bound_may_change_while_somebody_watches():
    buffer = filled(50)
    for bound in (40, 3, None, 60, 4):
        buffer.resize(bound)
        assert numbers(buffer) == [*range(50)]
    buffer.is_watched = False
    assert numbers(buffer) == [*range(47, 50)]


def test_what_can_not_be_packed_is_kept_as_text():
    buffer = TaskBuffer([], 0, None)
    buffer.is_watched = True
    for i in range(8):
        buffer.append(task(i, frames=[memoryview(b"frame")], odd=lambda: 0))
    assert buffer[3]["frames"] == [b"frame"]
    assert "<lambda>" in buffer[3]["odd"]


def test_a_client_that_fetches_it_gets_a_deque():
    fetched = pickle.loads(pickle.dumps(filled(20, most=50)))
    assert type(fetched) is deque
    assert (numbers(fetched), fetched.maxlen) == ([*range(20)], 50)


def test_a_packed_task_takes_a_fraction_of_its_objects(monkeypatch):
    monkeypatch.setattr(taskbuffer, "BLOCK", 128)
    buffer = filled(0)
    for i in range(1280 + buffer.bound):
        fields = {"stimulus_id": f"task-finished-{1.8e9 + i}", "worker": "tcp://a:1"}
        buffer.append(task(i, status="OK", type=b"x" * 40, thread=140160, **fields))
    assert buffer.n_older == 1280
    assert buffer.nbytes < 1280 * 60


def test_clear_counts_what_it_evicts():
    buffer = filled(30)
    buffer.clear()
    assert (len(buffer), buffer.evicted_until) == (0, 29.5)


def long(i: int) -> dict[str, object]:
    return task(i, worker="w" * 100_000, type=b"t" * 100_000)


def test_tasks_with_long_names_take_no_more_bytes():
    buffer = TaskBuffer([], 500, None, Limit(2_000_000, taskbuffer.TASK_BYTES))
    for i in range(100):
        buffer.append(long(i))
    assert 1_500_000 < buffer.weight < 2_000_000
    assert numbers(buffer) == [*range(100 - len(buffer), 100)]
    buffer.resize(500, Limit(100_000, taskbuffer.TASK_BYTES))
    assert numbers(buffer) == [99]  # the newest stays
    buffer.clear()
    assert buffer.weight == 0


def test_an_error_counts_as_the_bytes_of_its_frames():
    error = Serialized({}, [memoryview(b"e" * 30_000), b"e" * 20_000])
    assert taskbuffer.weigh_task(task(1, exception=error)) == 50_000
    assert taskbuffer.weigh_task(task(1, exception=None)) == 0


def test_an_error_does_not_keep_the_message_that_it_came_in():
    message = bytearray(1_000_000)
    buffer = TaskBuffer([], 5, None)
    buffer.append(task(1, exception=Serialized({}, [memoryview(message)[10:20]])))
    message.clear()  # a BufferError, if there is a view of it
    assert buffer[0]["exception"].frames == [bytes(10)]


def test_a_long_key_counts_once_if_it_is_the_cause_too():
    key = "k" * 100_000
    weight = taskbuffer.weigh_task({"key": key, "cause": key})
    assert 99_900 < weight < 100_000


def test_watched_tasks_with_long_names_are_whole_and_packed_early(monkeypatch):
    monkeypatch.setattr(taskbuffer, "BLOCK", 128)
    buffer = TaskBuffer([], 10, None, Limit(1_000_000, taskbuffer.TASK_BYTES))
    buffer.is_watched = True
    for i in range(100):
        buffer.append(long(i))
        assert buffer.nbytes + buffer.weight < 1_500_000
    assert list(buffer) == [long(i) for i in range(100)]
    buffer.is_watched = False
    assert buffer.nbytes == 0
