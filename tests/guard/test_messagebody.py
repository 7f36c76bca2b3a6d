from __future__ import annotations

import msgpack
import pytest
from distributed.utils_test import gen_test
from hypothesis import given
from hypothesis import strategies as st

from leandask.guard import messagebody
from leandask.guard.messagebody import MessageBody, TooLarge

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=300)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=40)),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20)
    ),
)


def body_of(packed):
    left = memoryview(packed)

    async def read(nbytes):
        nonlocal left
        piece, left = bytes(left[:nbytes]), left[nbytes:]
        return piece

    return MessageBody(read, len(packed))


def run(coroutine):
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


async def skip_one(packed):
    body = body_of(packed)
    await body.skip()
    return await body.value()


@given(VALUES, st.integers(1, 50))
def test_a_value_of_any_kind_is_skipped(value, piece):
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(messagebody, "PIECE", piece)
        packed = msgpack.packb(value) + msgpack.packb("next")
        assert run(skip_one(packed)) == "next"


@gen_test()
async def test_large_values_are_skipped_piece_by_piece():
    large = {"bin": bytes(2**17), "str": "x" * 2**17, "list": [1.5] * 2**17}
    large["ext"] = msgpack.ExtType(1, bytes(2**17))
    large["map"] = {number: None for number in range(2**17)}
    assert await skip_one(msgpack.packb(large) + msgpack.packb("next")) == "next"


@gen_test()
async def test_members_of_a_list_and_of_a_set_are_counted():
    for members in (["a", "b"], {"__Set__": True, "as-list": ["a", "b"]}):
        body = body_of(msgpack.packb([members, 1]))
        assert await body.count() == 2
        assert await body.begin_members() == 2
        assert [await body.value() for _ in range(3)] == ["a", "b", 1]


@pytest.mark.parametrize(
    ("value", "members"),
    [({"a": [1], "b": 2}, ["a", "b"]), ("ab", ["a", "b"]), ({}, []), (None, None)],
)
@gen_test()
async def test_members_of_other_values_are_those_that_python_iterates_over(
    value, members
):
    body = body_of(msgpack.packb(value) + msgpack.packb("next"))
    assert await body.begin_members() == members
    assert await body.value() == "next"


@given(VALUES, st.integers(0, 400))
def test_a_value_is_read_if_it_is_small(value, most):
    async def read():
        body = body_of(packed + msgpack.packb("next"))
        try:
            return await body.small_value(most), await body.value()
        except TooLarge:
            return TooLarge, await body.value()

    packed = msgpack.packb(value)
    expected = msgpack.unpackb(packed, use_list=False)
    small = len(packed) <= most
    assert run(read()) == (expected if small else TooLarge, "next")


@gen_test()
async def test_a_body_that_is_too_short_raises():
    body = body_of(msgpack.packb(["a", "b"])[:-1])
    assert await body.count() == 2
    assert await body.value() == "a"
    with pytest.raises(ValueError, match="shorter than it says"):
        await body.value()


@gen_test()
async def test_what_is_in_other_frames_is_noticed():
    body = body_of(msgpack.packb([{"a": 1}, {"msg": {"__Serialized__": 1}}]))
    await body.count()
    await body.value()
    assert not body.frames
    await body.value()
    assert body.frames == [1]
