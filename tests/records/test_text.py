from __future__ import annotations

import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask.records.text import (
    MESSAGE_LENGTH,
    NAME_LENGTH,
    TextFormatter,
    name_of,
    one_line,
    printable,
    printable_json,
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


def of_categories(*categories):
    """All characters of some Unicode categories, in one text."""
    characters = map(chr, range(sys.maxunicode + 1))
    return "".join(c for c in characters if unicodedata.category(c) in categories)


def test_what_could_control_a_terminal_or_turn_a_text_is_escaped():
    hidden = of_categories("Cc", "Cf", "Zl", "Zp", "Cs")
    assert {*"\x1b\x7f\x9b\u202e\u2066\u200b\u2028\ud800\U000e0001"} <= {*hidden}
    shown = printable(hidden)
    assert shown.isascii()
    assert shown.isprintable()
    assert shown.count("\\") == len(hidden)


def test_json_has_escapes_and_the_same_values():
    hidden = "é" + of_categories("Cc", "Cf", "Zl", "Zp")
    plain = json.dumps({hidden: [hidden, "ü"]}, ensure_ascii=False).encode()
    line = printable_json(plain)
    assert line.decode().isprintable()
    assert "é" in line.decode()
    assert json.loads(line) == json.loads(plain)


@given(st.text())
def test_json_has_the_same_values_for_any_text(text):
    line = printable_json(json.dumps(text, ensure_ascii=False).encode())
    assert json.loads(line) == text
    assert line.decode().isprintable()


UNSAFE = "a\x7f\x9b31m\u202eb\u2066\u200b\U000e0001é"


def log_record(msg, *args, exc_info=None):
    return logging.LogRecord("app", logging.ERROR, "app.py", 1, msg, args, exc_info)


def test_a_line_of_text_can_not_control_a_terminal_or_start_another_line():
    formatter = TextFormatter("%(levelname)s - %(message)s")
    record = log_record("a\n%s", UNSAFE)
    assert formatter.format(record).startswith("ERROR - a\\na\\x7f\\x9b31m\\u202eb")
    try:
        raise ValueError(UNSAFE)
    except ValueError:
        record = log_record("failed", exc_info=sys.exc_info())
    first, *others = formatter.format(record).split("\n")
    assert first == "ERROR - failed"
    assert others[0] == "Traceback (most recent call last):"
    assert all(line.isprintable() for line in others)
