from __future__ import annotations

import pickle

import pytest
from distributed.protocol import Serialize, Serialized, dumps, loads, serialize

from leandask.histories.tasks.taskblock import answer, pack


def task(i, **fields):
    startstops = ({"action": "compute", "start": i, "stop": i + 0.5},)
    return {"key": ("x", i), "startstops": startstops, **fields}


def tasks(n, **fields):
    return [task(i, type=b"\x80", metadata={1: None}, **fields) for i in range(n)]


def test_a_block_is_read_back():
    block = pack(tasks(20))
    assert block.unpack() == tasks(20)
    assert (block.number, block.earliest, block.latest) == (20, 0.5, 19.5)


@pytest.mark.parametrize("n_blocks", [0, 1, 3])
def test_a_client_reads_an_answer_as_upstreams(n_blocks):
    blocks = [pack(tasks(20))] * n_blocks
    assert loads(dumps(answer(blocks))) == loads(dumps(tasks(20) * n_blocks))


def test_an_answer_has_the_blocks_as_they_are():
    blocks = [pack(tasks(20)), pack(tasks(7))]
    assert all(
        frame is block.data
        for frame, block in zip(answer(blocks).frames[1:], blocks, strict=True)
    )


@pytest.mark.parametrize(
    "value",
    [
        Serialized({"serializer": "pickle"}, [memoryview(b"N.")]),
        Serialize(ValueError("x")),
        {1, 2},
        2**70,
        "\ud800",
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_messages_have_no_type_for_is_not_plain(value):
    block = pack(tasks(20, value=value))
    assert not block.is_plain
    assert answer([pack(tasks(20)), block]) is None
    assert len(block.unpack()) == 20


class Unprintable(Exception):
    """Has no text, and can't be pickled."""

    def __repr__(self):
        raise OSError("no text")

    __reduce__ = __repr__


def test_an_object_that_can_not_be_kept_is_a_text():
    block = pack(tasks(3, exception=Unprintable()))
    texts = {task["exception"] for task in block.unpack()}
    assert texts == {"<unprintable Unprintable>"}


def test_exceptions_are_as_a_client_gets_them():
    exception = pickle.dumps(ValueError("x" * 100_000))
    [sent] = loads(dumps([Serialize(exception)]), deserialize=False)
    block = pack(tasks(3, exception=sent))
    assert block.is_plain
    assert [task["exception"] for task in block.unpack()] == [exception] * 3


def test_no_type_that_a_worker_sends_is_unpickled():
    header, frames = serialize(b"x")
    header["type-serialized"] = b"cbuiltins\nprint\n."
    assert not pack(tasks(3, exception=Serialized(header, frames))).is_plain


def test_lists_are_read_back_as_lists():
    startstops = [{"action": "compute", "start": 1.0, "stop": 2.0}]
    block = pack([{"key": "x", "startstops": startstops}])
    assert block.unpack()[0]["startstops"] == startstops
    assert not block.is_plain
