"""Text: how names and messages are written in a record."""

from __future__ import annotations

from typing import Any

#: What stands for anything that was cut.
CUT = "…"
#: Characters kept of a topic, an action, an address or a key.
NAME_LENGTH = 512
#: Characters kept of the readable message.
MESSAGE_LENGTH = 250


def one_line(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Cut a text, and show its control characters as escapes.

    Parameters
    ----------
    text : str
    limit : int, optional
        Characters to keep.

    Returns
    -------
    str
        A text that can't start another line, nor steer a terminal.

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
    """Return a topic or a key as a text of bounded length that any encoder takes.

    Parameters
    ----------
    value : object
        Most often a str, or a tuple as the keys of collections are.

    Returns
    -------
    str

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
    """Return a text with its lone surrogates, which no encoder takes, as escapes.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(encodable("é" + chr(0xD800)))
    é\\ud800
    """
    return text.encode("utf-8", "backslashreplace").decode()
