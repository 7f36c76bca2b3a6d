from __future__ import annotations

import datetime
import pickle
import sys
from collections import OrderedDict, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask.histories.sizes import size_of
from leandask.histories.topics.packed import (
    Packed,
    PackedEvents,
    Total,
    nbytes_of,
    pack,
    unpack,
)

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
    event = pack((1.5, msg))
    assert type(event[1]) is Packed
    assert unpack(event) == (1.5, msg)
    assert nbytes_of(event, 10**6) >= len(event[1])


class Text(str):
    pass


@pytest.mark.parametrize(
    "msg", [datetime.date(2026, 1, 1), OrderedDict(a=1), Text("x"), {"x": object()}]
)
def test_any_other_msg_is_kept_as_it_is(msg):
    assert pack((1.5, msg)) == (1.5, msg)
    assert pack((1.5, msg))[1] is msg


def test_a_msg_that_is_too_deep_is_kept_as_it_is():
    msg = []
    for _ in range(3000):
        msg = [msg]
    assert pack((1.5, msg))[1] is msg


def test_a_msg_that_contains_itself_comes_back():
    msg = [1]
    msg.append(msg)
    _, back = unpack(pack((1.5, msg)))
    assert back[0] == 1
    assert back[1] is back


def filled(maxlen=None, n=3):
    events = PackedEvents(maxlen, Total())
    plain = [(float(i), {"n": i, "keys": {"x", "y"}}) for i in range(n)]
    events.extend(plain)
    return events, plain


def test_packed_events_read_as_upstreams_deque():
    events, plain = filled(maxlen=3)
    assert [*events] == [events[i] for i in range(3)] == plain
    assert [*reversed(events)] == plain[::-1]
    assert (events[0], events[-1], events[1:]) == (plain[0], plain[-1], plain[1:])
    assert (len(events), bool(events), events.maxlen) == (3, True, 3)
    assert events == deque(plain, 3) == events
    assert (events == plain, events != plain[1:], events == 5) == (True, True, False)
    assert plain[1] in events and (1.0, "other") not in events
    assert (events.index(plain[2]), events.count(plain[0])) == (2, 1)
    assert pickle.loads(pickle.dumps(events)) == deque(plain, 3)
    with pytest.raises(IndexError):
        events[3]


def test_packed_events_count_their_bytes_at_every_change():
    total = Total()
    events, other = PackedEvents(2, total), PackedEvents(None, total)
    other.append((0.0, "x"))
    sizes = []
    for i in range(5):
        event = (float(i), "x" * i * 100)
        events.append(event)
        sizes.append(nbytes_of(pack(event), sys.maxsize))
        assert events.nbytes == sum(sizes[-2:])
    assert len(events) == 2
    assert total.nbytes == events.nbytes + other.nbytes
    assert events.popleft() == (3.0, "x" * 300)
    assert events.nbytes == sizes[-1]
    events.clear()
    assert (list(events), events.nbytes, total.nbytes) == ([], 0, other.nbytes)


def test_the_oldest_of_packed_events_go_for_their_number_or_their_bytes():
    total = Total()
    events, (other, plain) = PackedEvents(None, total), filled(n=6)
    events.extend(plain)
    each = events.nbytes // 6
    events.resize(5)
    assert (list(events), events.maxlen) == (plain[1:], 5)
    events.free(0)
    assert len(events) == 5
    events.free(each + 1)
    assert list(events) == plain[3:]
    assert events.nbytes == total.nbytes == 3 * each
    events.resize(None)
    assert list(events) == plain[3:]
    events.free(10**9)
    assert (list(events), events.nbytes, total.nbytes) == ([], 0, 0)
    assert len(other) == 6


def test_packed_events_with_a_bound_of_zero_stay_empty():
    events, _ = filled(maxlen=0)
    assert (len(events), events.nbytes) == (0, 0)


def test_events_of_pythons_own_types_are_packed():
    events, _ = filled()
    assert events.is_packed
    assert events.nbytes < sum(size_of(event, 10**6)[0] for event in events) + 1000
    events.append((9.0, {"x": object()}))
    assert not events.is_packed
    assert list(events)[:3] == filled()[1]
