"""Text: how names and messages are written in a record."""

from __future__ import annotations

from typing import Any

#: Mark at the end of a text that was cut.
CUT = "…"
#: Characters kept of a topic, an action, an address or a key.
NAME_LENGTH = 512
#: Characters kept of the readable message.
MESSAGE_LENGTH = 250


def one_line(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Return a text cut to `limit` characters, with control characters as escapes.

    It can't start another line or control a terminal.

    Examples
    --------
    >>> print(one_line("a\\nb"))
    a\\nb
    """
    if len(text) > limit:
        text = text[:limit] + CUT
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


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
