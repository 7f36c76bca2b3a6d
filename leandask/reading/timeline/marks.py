"""Marks: single happenings on the axis of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain

from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line

#: Marks of a kind that are kept: the first ones, as they often are the cause of those
#: that follow, and the newest. A mark takes 3.2 KB at most, 4 bytes for each of 764
#: characters, so a kind takes 3.2 MB at most, and 400 KB when texts are as usual.
FIRST, NEWEST = 200, 800

Mark = tuple[int, str, str]


def text_of(value: object, limit: int) -> str:
    """Return what a record says, or nothing where it says no text.

    Parameters
    ----------
    value : object
    limit : int
        Characters to keep; one more shows that there were more.

    Returns
    -------
    str
    """
    return value[: limit + 1] if isinstance(value, str) else ""


class Marks:
    """The first and the newest happenings of a kind.

    Examples
    --------
    >>> marks = Marks()
    >>> marks.add(1250, "inc-1", "inc-1: processing -> erred")
    >>> marks
    <Marks: 1/1000, 1 seen>
    """

    __slots__ = ("count", "first", "newest")

    def __init__(self) -> None:
        #: Happenings ever seen.
        self.count = 0
        self.first: list[Mark] = []
        self.newest: deque[Mark] = deque(maxlen=NEWEST)

    def add(self, ms: int, name: object, message: object) -> None:
        """Take a happening.

        Parameters
        ----------
        ms : int
            Milliseconds since the epoch.
        name : object
            The task, worker or topic that it is about, as the record has it.
        message : object
            What happened, as the record has it.
        """
        self.count += 1
        marks = self.newest if len(self.first) == FIRST else self.first
        marks.append((ms, text_of(name, NAME_LENGTH), text_of(message, MESSAGE_LENGTH)))

    def __iter__(self) -> Iterator[Mark]:
        for ms, name, message in chain(self.first, self.newest):
            yield ms, _shown(name, NAME_LENGTH), _shown(message, MESSAGE_LENGTH)

    def __len__(self) -> int:
        return len(self.first) + len(self.newest)

    def __repr__(self) -> str:
        return f"<Marks: {len(self)}/{FIRST + NEWEST}, {self.count} seen>"


def _shown(text: str, limit: int) -> str:
    # Once more, as escapes are longer than what they stand for.
    return one_line(one_line(text, limit), limit)
