from __future__ import annotations

import datetime
import pickle
from collections import OrderedDict, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask.histories.packed import Packed, Tail, nbytes_of, packed, unpacked

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner)
        | st.tuples(inner)
    ),
    max_leaves=20,
)


@given(plain)
def test_a_msg_of_pythons_own_types_comes_back_as_it_was(msg):
    event = packed((1.5, msg))
    assert type(event[1]) is Packed
    assert unpacked(event) == (1.5, msg)
    assert nbytes_of(event, 10**6) >= len(event[1])


class Text(str):
    pass


@pytest.mark.parametrize(
    "msg", [datetime.date(2026, 1, 1), OrderedDict(a=1), Text("x"), {"x": object()}]
)
def test_any_other_msg_is_kept_as_it_is(msg):
    assert packed((1.5, msg)) == (1.5, msg)
    assert packed((1.5, msg))[1] is msg


def test_a_msg_that_is_too_deep_is_kept_as_it_is():
    msg = []
    for _ in range(3000):
        msg = [msg]
    assert packed((1.5, msg))[1] is msg


def test_a_msg_that_holds_itself_comes_back():
    msg = [1]
    msg.append(msg)
    _, back = unpacked(packed((1.5, msg)))
    assert back[0] == 1
    assert back[1] is back


def test_a_tail_reads_as_a_list_of_events():
    tail = Tail(maxlen=3)
    events = [(float(i), {"n": i, "keys": {"x", "y"}}) for i in range(3)]
    for event in events:
        tail.add(packed(event), 100)
    assert (list(tail), tuple(tail), [*reversed(tail)]) == (
        events,
        tuple(events),
        events[::-1],
    )
    assert (tail[0], tail[-1], tail[1:]) == (events[0], events[-1], events[1:])
    assert len(tail) == 3
    assert pickle.loads(pickle.dumps(tail)) == deque(events, 3)


def test_a_tail_made_anew_is_packed_again():
    tail = Tail(maxlen=None)
    tail.extend([(0.0, {"n": 1})])
    assert type(list.__getitem__(tail, 0)[1]) is Packed
