from __future__ import annotations

import datetime
import enum
import gc
import json
import math
import time
import weakref
from collections import OrderedDict, deque

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leandask.records.payload import MAX_DEPTH, plain
from leandask.records.text import CUT


def check(msg, limit=10_000):
    """Make the value, and check that both encoders accept it and agree."""
    value, size, truncated = plain(msg, limit)
    line = orjson.dumps(value)
    assert json.loads(line) == json.loads(json.dumps(value, allow_nan=False))
    assert size <= limit
    return value, truncated


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    def __str__(self):
        raise RuntimeError


class Number(int):
    def __int__(self):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("msg", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        ("\ud800x", "\\ud800x"),
        ("ü…💥", "ü…💥"),
        (b"a\x00", "b'a\\x00'"),
        (bytearray(b"ab"), "b'ab'"),
        (memoryview(b"ab"), "b'ab'"),
        (np.float32(1.5), 1.5),
        (np.float64("nan"), "NaN"),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2), 2),
        (np.str_("x"), "x"),
        (np.datetime64("2020-01-01"), "2020-01-01"),
        (np.longdouble(3), repr(np.longdouble(3))),
        (ValueError("x"), "ValueError('x')"),
        (datetime.datetime(2020, 1, 2, 3), "2020-01-02T03:00:00"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (Colour.RED, 1),
        pytest.param(Text("x"), "x", id="str-subclass"),
        pytest.param(Number(5), 5, id="int-subclass"),
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (frozenset({1}), [1]),
        (deque([1]), [1]),
        ({1: 2}.keys(), [1]),
        ({1: 2}.values(), [2]),
        ({1: 2}.items(), [[1, 2]]),
        (OrderedDict(a=1), {"a": 1}),
        ({("x", 0): 1}, {"('x', 0)": 1}),
        ({None: 1, 2.5: 2, b"k": 3}, {"None": 1, "2.5": 2, "b'k'": 3}),
        ({1: "a", "1": "b"}, {"1": "a", "1 #1": "b"}),
        (int, "<class 'int'>"),
    ],
)
def test_every_kind_of_value(msg, expected):
    value, truncated = check(msg)
    assert value == expected
    assert type(value) is type(expected)
    assert not truncated


def raising(*names):
    def fail(*args, **kwargs):
        raise RuntimeError("hostile")

    return type("Hostile", (), dict.fromkeys(names, fail))


@pytest.mark.parametrize(
    "kind",
    [
        raising("__repr__"),
        raising("__repr__", "__getattr__"),
        raising("__getattribute__"),
        type("Hostile", (raising("items", "__len__"), dict), {}),
        type("Hostile", (raising("__iter__", "__len__"), list), {}),
        type("Hostile", (raising("__iter__"), set), {}),
        type("Hostile", (raising("__len__", "__getitem__"), bytes), {}),
    ],
)
def test_an_object_that_raises_is_named(kind):
    value, _ = check({"a": kind(), "b": 1})
    assert value == {"a": "<unprintable Hostile>", "b": 1}


@pytest.mark.parametrize("make", [list, dict])
def test_a_cycle_is_marked(make):
    msg = make()
    msg.append(msg) if make is list else msg.update(self=msg)
    value, _ = check(msg)
    assert "<cycle>" in (value if make is list else value.values())


def test_the_same_object_twice_without_a_cycle_is_kept_twice():
    part = [1]
    assert check([part, part])[0] == [[1], [1]]


def test_depth_is_bounded():
    msg = []
    for _ in range(2000):
        msg = [msg]
    value, truncated = check(msg)
    assert truncated
    assert str(value).count("[") == MAX_DEPTH


def test_a_huge_int_is_described():
    value, truncated = check(1 << 100_000)
    assert (value, truncated) == ("<int of 100001 bits>", True)


@pytest.mark.parametrize(
    "msg",
    [
        "x" * 50_000_000,
        b"x" * 50_000_000,
        set(range(1_000_000)),
        {"k" * 1_000_000: 1},
        {("k", "x" * 1_000_000): 1},
        [["x" * 100] * 1000] * 1000,
        dict.fromkeys(range(1_000_000)),
    ],
    ids=["str", "bytes", "set", "key", "tuple-key", "nested", "dict"],
)
def test_the_work_is_bounded_by_the_limit(msg):
    begun = time.thread_time()
    value, truncated = check(msg, limit=1000)
    # Bounded: a pass over any of these takes longer by two orders of magnitude.
    assert time.thread_time() - begun < 0.25
    assert truncated
    assert len(json.dumps(value, ensure_ascii=False)) < 4000


def test_omitted_items_are_counted():
    assert check([10, 20, 30], limit=8)[0] == [10, f"{CUT} 2 more"]
    assert check({"a": "xxxx", "b": 1, "c": 2}, limit=9)[0] == {
        "a": "xxxx",
        "b": 1,
        CUT: "1 more",
    }


def test_the_msg_is_neither_changed_nor_kept():
    class Item:
        pass

    item = Item()
    msg = {"items": [item], ("k", 1): {1, 2}}
    before = repr(msg)
    value, _ = check(msg)
    assert repr(msg) == before
    gone = weakref.ref(item)
    del item, msg
    gc.collect()
    assert gone() is None
    assert "Item object" in value["items"][0]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=5
        )
    ),
    max_leaves=30,
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.dates()
    | st.complex_numbers()
    | st.builds(ValueError, st.text()),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.integers()
            | st.text(st.characters())
            | st.tuples(st.text(), st.integers()),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(json_values)
def test_json_values_are_kept(msg):
    value, truncated = check(msg, limit=1_000_000)
    assert value == msg
    assert not truncated


@settings(max_examples=300)
@given(anything, st.integers(0, 300))
def test_anything_becomes_bounded_json(msg, limit):
    value, _ = check(msg, limit)
    # Each container that was cut leaves at least a mark.
    assert len(json.dumps(value)) < 12 * limit + 3000
    assert not isinstance(value, float) or math.isfinite(value)


def test_values_after_a_long_list_are_kept():
    keys = [f"task-{i}" for i in range(10_000)]
    msg = {
        "action": "remove-worker",
        "tasks": keys,
        "lost": set(keys),
        "expected": False,
    }
    value, size, truncated = plain(msg, 8000)
    assert truncated
    assert list(value) == list(msg)
    assert value["expected"] is False
    assert len(value["tasks"]) > len(value["lost"]) > 50
    assert 5000 < size <= 8000


def test_the_last_value_of_a_mapping_may_use_the_rest_of_the_limit():
    value, _, truncated = plain({"a": 1, "text": "x" * 7900}, 8000)
    assert (len(value["text"]), truncated) == (7900, False)
