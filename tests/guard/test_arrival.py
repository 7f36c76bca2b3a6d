"""Messages that do not fit: what is handed on of them, and what is answered."""

from __future__ import annotations

import gc
import os
import struct
import tracemalloc
import weakref
from contextlib import suppress

import pytest
from distributed.protocol import Serialize, ToPickle, dumps, loads
from distributed.utils_test import gen_test

from leandask.guard.arrival import Arrival

#: More than is handed on, and not compressed.
BYTES = os.urandom(2 * 2**20)


class Stream:
    """A stream that has received some bytes."""

    def __init__(self, received):
        self.left = memoryview(received)

    async def read_bytes(self, nbytes):
        if nbytes and not self.left:
            raise EOFError
        piece, self.left = bytes(self.left[:nbytes]), self.left[nbytes:]
        return piece

    async def read_into(self, buffer):
        buffer[:] = await self.read_bytes(len(buffer))


class Answers:
    """What was answered, and what was lost."""

    def __init__(self, begin=lambda: None):
        self.begin = begin
        self.keys = []
        self.lost = []
        self.mentioned = set()

    async def judge(self, frames):
        self.begin()
        return self.refuse

    def refuse(self, n_keys):
        return self

    async def send(self, keys, mentioned):
        self.keys += keys
        self.mentioned.update(mentioned)


def framed(message):
    """Return the bytes of a message, as they are sent."""
    frames = [bytes(frame) for frame in dumps(message)]
    sent = struct.pack(f"{1 + len(frames)}Q", len(frames), *map(len, frames))
    size = struct.pack("Q", len(sent) + sum(map(len, frames)))
    return size + sent + b"".join(frames)


async def receive(message, begin=lambda: None):
    """Send a message that does not fit; return what is handed on, and the answers."""
    stream, answers = Stream(framed(message)), Answers(begin)
    Arrival(stream, answers.judge, {"known"}.__contains__, answers.lost.append)
    said = await read(stream)
    with suppress(EOFError):
        while True:
            said += await read(stream)
    return said, answers


async def read(stream):
    """Return the next message, as upstream reads it."""
    (size,) = struct.unpack("Q", await stream.read_bytes(8))
    buffer = bytearray(size)
    await stream.read_into(memoryview(buffer))
    (n_frames,) = struct.unpack_from("Q", buffer)
    sizes = struct.unpack_from(f"{n_frames}Q", buffer, 8)
    at, found = 8 + 8 * n_frames, []
    for size in sizes:
        found.append(bytes(buffer[at : at + size]))
        at += size
    return loads(found)


def graph(keys, data=b"", **others):
    return {"op": "update-graph", "graph": Serialize(data), "keys": keys, **others}


LARGE = graph(["large"], BYTES)


@gen_test()
async def test_small_graphs_and_data_are_handed_on_with_all_their_parts():
    small = graph({"a", "b"}, b"1", code=ToPickle({1: 2}))
    data = {"op": "data", "value": ToPickle([1]), "more": Serialize(b"2")}
    said, answers = await receive((LARGE, small, data, LARGE, {"op": "x"}))
    assert answers.keys == ["large", "large"]
    assert not answers.lost
    assert [each["op"] for each in said] == ["update-graph", "data", "x"]
    assert {*said[0]["keys"]} == {"a", "b"}
    assert (said[0]["graph"], said[0]["code"]) == (b"1", {1: 2})
    assert (said[1]["value"], said[1]["more"]) == ([1], b"2")


@pytest.mark.parametrize(
    "keys",
    [["a", "b"], ("a", "b"), {"a", "b"}, {"a": 1, "b": 2}, "ab"],
    ids=lambda keys: type(keys).__name__,
)
@pytest.mark.parametrize("is_last", [False, True])
@gen_test()
async def test_a_large_graph_is_answered_whatever_its_message_looks_like(keys, is_last):
    message = graph(keys, BYTES)
    if is_last:
        message["op"] = message.pop("op")
    for sent in (message, [message], ["OK", message]):
        said, answers = await receive(sent)
        assert {*answers.keys} == {"a", "b"}
        assert said == (("OK",) if len(sent) == 2 else ())


@gen_test()
async def test_graphs_of_many_keys_are_answered_as_they_come():
    keys = [f"key-{n}" for n in range(5000)]
    for some in (keys, {*keys}):
        said, answers = await receive([LARGE, graph(some), graph(["small"])])
        assert {*answers.keys} == {*keys, "large"}
        assert [each["keys"] for each in said] == [("small",)]


@gen_test()
async def test_old_messages_with_the_graph_in_the_body():
    large = {"op": "update-graph", "graph_frames": [BYTES], "keys": ["large"]}
    small = {"op": "update-graph", "graph_frames": [b"1"], "keys": ["small"]}
    said, answers = await receive([large, small])
    assert answers.keys == ["large"]
    assert [each["graph_frames"] for each in said] == [(b"1",)]


@gen_test()
async def test_what_can_neither_be_handed_on_nor_answered_is_told():
    data = {"op": "data", "value": Serialize(BYTES)}
    said, answers = await receive([data, graph(None, BYTES), {"op": "x"}])
    assert answers.lost == ["data", "update-graph"]
    assert said == ({"op": "x"},)


@gen_test()
async def test_only_releases_of_unknown_keys_are_left_out():
    for kind in (list, tuple, set):
        releases = [
            {"op": "client-releases-keys", "keys": kind(keys)}
            for keys in (["known", "other"], ["gone"])
        ]
        said, _ = await receive([LARGE, *releases])
        assert [{*each["keys"]} for each in said] == [{"known", "other"}]


@gen_test()
async def test_a_release_of_a_task_that_comes_with_it_is_handed_on():
    release = {"op": "client-releases-keys", "keys": ["small"]}
    said, _ = await receive([LARGE, graph(["small"]), release])
    assert [each["op"] for each in said] == ["update-graph", "client-releases-keys"]


@gen_test()
async def test_a_task_that_the_client_released_right_before_is_answered():
    release = {"op": "client-releases-keys", "keys": ["known"]}
    for keys in (["known"], ["known", *map(str, range(2000))]):
        said, answers = await receive([release, graph(keys, BYTES)])
        assert answers.keys == keys
        assert answers.mentioned == {"known"}
        # One that comes again is not answered, as the scheduler will have it.
        again = [release, graph(["known"]), graph(keys, BYTES)]
        said, answers = await receive(again)
        assert answers.keys == keys[1:]
        assert [each["op"] for each in said] == ["client-releases-keys", "update-graph"]


@gen_test()
async def test_a_release_of_what_was_asked_for_right_before_is_handed_on():
    wish = {"op": "client-desires-keys", "keys": ["asked"]}
    release = {"op": "client-releases-keys", "keys": ["asked"]}
    said, answers = await receive([wish, graph(["asked"], BYTES), release])
    assert [each["op"] for each in said] == [wish["op"], release["op"]]
    assert answers.keys == ["asked"]


@gen_test()
async def test_what_is_not_handed_on_is_not_kept_until_the_message_ends():
    release = {"op": "client-releases-keys", "keys": ["large"], "client": "mine"}
    before = []

    def begin():
        before.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.reset_peak()

    tracemalloc.start()
    try:
        said, _ = await receive([*([release] * 50_000), graph(["small"])], begin)
        peak = tracemalloc.get_traced_memory()[1] - before[0]
    finally:
        tracemalloc.stop()
    assert [each["keys"] for each in said] == [("small",)]
    assert peak < 3 * 2**20  # a few pieces of 256 KiB


@gen_test()
async def test_what_is_handed_on_is_small_at_a_time_and_in_order():
    small = graph(["small"], b"1", code=ToPickle({1: 2}))
    sent = [{"op": "x", "number": n, "text": "t" * 1000} for n in range(2000)]
    stream = Stream(framed([LARGE, *sent[:1500], small, *sent[1500:]]))
    Arrival(stream, Answers().judge, {"known"}.__contains__, None)
    said = []
    with suppress(EOFError):
        while True:
            said.append(await read(stream))
    assert len(said) > 5
    assert max(map(len, said)) < 300
    said = [each for some in said for each in some]
    assert said[1500]["code"] == {1: 2}
    assert said[:1500] + said[1501:] == sent


@gen_test()
async def test_a_stream_is_freed_without_a_collection_of_garbage():
    gc.disable()
    try:
        stream = Stream(struct.pack("Q", 0))
        Arrival(stream, Answers().judge, None, None)
        assert len(await stream.read_bytes(8)) == 8
        freed = weakref.ref(stream)
        del stream
        assert freed() is None
    finally:
        gc.enable()
