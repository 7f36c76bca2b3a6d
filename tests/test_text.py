from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask.text import (
    MESSAGE_LENGTH,
    NAME_LENGTH,
    name_of,
    one_line,
    rfc3339,
    seconds_of,
)


@given(st.floats(0, 4e9))
def test_rfc3339_is_the_time_in_utc_to_the_microsecond(timestamp):
    moment = datetime.datetime.fromisoformat(rfc3339(timestamp).replace("Z", "+00:00"))
    assert abs(moment.timestamp() - timestamp) <= 1e-6


def test_rfc3339_rounds_up_to_the_next_second():
    assert rfc3339(0.9999999) == "1970-01-01T00:00:01.000000Z"
    assert rfc3339(1795515859.123) == "2026-11-24T10:24:19.123000Z"


@given(st.text(st.characters()))
def test_one_line_is_printable_and_bounded(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 10 * (MESSAGE_LENGTH + 1)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\n", "a\\nb\\r\\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u2028b", "a\\u2028b"),
        ("ü…", "ü…"),
        ("\ud800", "\\ud800"),
    ],
)
def test_one_line_shows_control_characters(text, line):
    assert one_line(text) == line


@given(st.text(st.characters()) | st.integers() | st.tuples(st.text(), st.integers()))
def test_a_name_is_bounded_and_can_be_encoded(value):
    assert len(name_of(value).encode()) <= 6 * (NAME_LENGTH + 1)


def test_a_name_that_fits_is_kept():
    assert name_of("inc-123") == "inc-123"
    assert name_of(("x", ("y", 1))) == "('x', ('y', 1))"
    assert name_of("x" * 1000) == "x" * NAME_LENGTH + "…"


def test_seconds_are_exact_to_the_microsecond():
    assert seconds_of("2026-11-24T11:57:32.159629Z") == 1795521452.159629
