"""Marks: single incidents on the axis of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from leandask.reading.words import text_of
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line

#: Marks to keep of a kind: the first, which often cause the others, and the newest. A
#: mark takes 3.2 KB at most, 4 bytes for each of 764 characters. So a kind takes
#: 3.2 MB at most, and 400 KB with texts of usual length.
FIRST, NEWEST = 200, 800


class Mark(NamedTuple):
    """One incident."""

    #: Milliseconds since the epoch.
    ms: int
    #: The task, worker, topic or scheduler.
    name: str
    #: What happened.
    message: str


class Warned(NamedTuple):
    """The last warning, to recognise it under its next topic."""

    #: Milliseconds since the epoch.
    ms: int
    topic: str
    #: Start of its payload.
    payload: str


class Marks:
    """The first and the newest incidents of a kind.

    Examples
    --------
    >>> marks = Marks()
    >>> marks.add(1250, "inc-1", "inc-1: processing -> erred")
    >>> marks
    <Marks: 1/1000, 1 seen>
    """

    __slots__ = ("count", "first", "newest")

    def __init__(self) -> None:
        #: Incidents ever seen.
        self.count = 0
        self.first: list[Mark] = []
        self.newest: deque[Mark] = deque(maxlen=NEWEST)

    def add(self, ms: int, name: object, message: object) -> None:
        """Add an incident at a time, with name and message as the record has them."""
        self.count += 1
        marks = self.newest if len(self.first) == FIRST else self.first
        marks.append(
            Mark(ms, text_of(name, NAME_LENGTH), text_of(message, MESSAGE_LENGTH))
        )

    def __iter__(self) -> Iterator[Mark]:
        for ms, name, message in chain(self.first, self.newest):
            yield Mark(ms, _shown(name, NAME_LENGTH), _shown(message, MESSAGE_LENGTH))

    def __len__(self) -> int:
        return len(self.first) + len(self.newest)

    def __repr__(self) -> str:
        return f"<Marks: {len(self)}/{FIRST + NEWEST}, {self.count} seen>"


def _shown(text: str, limit: int) -> str:
    # Twice, as escapes are longer than the characters that they replace.
    return one_line(one_line(text, limit), limit)
