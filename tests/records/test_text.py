from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask.records.text import (
    MESSAGE_LENGTH,
    NAME_LENGTH,
    name_of,
    one_line,
)


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
