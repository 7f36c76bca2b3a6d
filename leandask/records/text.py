"""Text: how names and messages are written in a record."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

#: Mark at the end of a text that was cut.
CUT = "…"
#: Characters kept of a topic, an action, an address or a key.
NAME_LENGTH = 512
#: Characters kept of the readable message.
MESSAGE_LENGTH = 250

#: Characters that may not be printable: all but letters, digits and printable ASCII.
_DOUBTFUL = re.compile(r"[^\w -~]")


def one_line(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Return a text cut to `limit` characters that :func:`printable` has made safe.

    Examples
    --------
    >>> print(one_line("a\\nb"))
    a\\nb
    """
    if len(text) > limit:
        text = text[:limit] + CUT
    return printable(text)


def printable(text: str) -> str:
    """Return a text with escapes for what is not printable, as :func:`repr` has them.

    It can't start another line, control a terminal, or change the direction or hide a
    part of what is shown. Not printable are control and format characters, separators
    other than the space, surrogates, and what Unicode has not assigned.

    Examples
    --------
    >>> print(printable("a\\x9b\\u202eb"))
    a\\x9b\\u202eb
    """
    return text if text.isprintable() else _DOUBTFUL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()


def printable_json(line: bytes) -> bytes:
    """Return a line of JSON with escapes for what is not printable in its texts.

    It has the same values, so that nothing is lost. Encoders escape only what JSON
    requires: neither DEL, nor C1 controls, nor what changes the direction of text.

    Examples
    --------
    >>> print(printable_json(b'"a\\x7f"').decode())
    "a\\u007f"
    """
    if line.isascii() and line.find(0x7F) < 0:  # three times as fast as `in`
        return line
    text = line.decode()
    return line if text.isprintable() else _DOUBTFUL.sub(_escape_json, text).encode()


def _escape_json(match: re.Match[str]) -> str:
    character = match[0]
    # Beyond U+FFFF, JSON takes two escapes.
    return character if character.isprintable() else json.dumps(character)[1:-1]


def name_of(value: Any) -> str:
    """Return a topic or a key as text of bounded length that any encoder accepts.

    Examples
    --------
    >>> name_of(("x", 0))
    "('x', 0)"
    """
    text: str = value if type(value) is str else str(value)
    if len(text) > NAME_LENGTH:
        text = text[:NAME_LENGTH] + CUT
    if not text.isascii():
        text = encodable(text)
    return text


def encodable(text: str) -> str:
    """Return a text with lone surrogates, which no encoder accepts, as escapes.

    Examples
    --------
    >>> print(encodable("é" + chr(0xD800)))
    é\\ud800
    """
    return text.encode("utf-8", "backslashreplace").decode()


class TextFormatter(logging.Formatter):
    """Formats LogRecords as text for a terminal: nothing in a record can control it.

    A record starts one line only; those of a traceback follow.

    Examples
    --------
    >>> record = logging.LogRecord("x", logging.INFO, "x.py", 1, "a\\x9b", None, None)
    >>> print(TextFormatter("%(levelname)s - %(message)s").format(record))
    INFO - a\\x9b
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record, before its traceback."""
        return printable(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as text."""
        return "\n".join(map(printable, super().format(record).split("\n")))
