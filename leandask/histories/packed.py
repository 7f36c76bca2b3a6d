"""Tail: the last events of a topic, in few bytes."""

from __future__ import annotations

import marshal
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from leandask.histories.size import size_of
from leandask.records.payload import plain

#: Bytes of an event beside its packed msg: a tuple, a time, and the head of the bytes.
EVENT_BYTES = 120
#: Bytes of a msg for one of its packed copy, and for a character of its plain one, as
#: small strings take them.
PACKS, TAKES = 4, 8
#: Items of a tuple among which its list is looked for.
FIELDS = 8

Event = tuple[float, Any]


class Packed(bytes):
    """A msg as bytes, which take a third of what its values do.

    What counts for more: the keys in a msg are those of tasks that were made among a
    hundred others, and would keep the memory around each of them from being used again.
    """

    __slots__ = ()


class Tail(list[Event]):
    """The last events of a topic, packed as far as they are of Python's own types.

    A list, as most topics are small: an empty deque takes 0.7 kB.

    Parameters
    ----------
    maxlen : int or None
        Events kept.
    """

    __slots__ = ("maxlen", "sizes")

    #: Events kept, or None.
    maxlen: int | None
    #: Bytes of each event, about; 0 where nobody asks for them.
    sizes: array[int]

    def __init__(self, maxlen: int | None) -> None:
        super().__init__()
        self.maxlen = maxlen
        self.sizes = array("L")

    def __reduce__(self) -> Any:
        return deque, (list(self), self.maxlen)

    def __iter__(self) -> Iterator[Event]:
        return map(unpacked, super().__iter__())

    def __reversed__(self) -> Iterator[Event]:
        return map(unpacked, super().__reversed__())

    def __getitem__(self, index: Any) -> Any:
        found: Any = super().__getitem__(index)
        return unpacked(found) if type(found) is tuple else [*map(unpacked, found)]

    def extend(self, events: Iterable[Event]) -> None:
        """Take events whose sizes are known already."""
        super().extend(packed(event) for event in events)

    @property
    def is_packed(self) -> bool:
        """Whether all events are packed: nothing of others' making is in them."""
        return all(type(msg) is Packed for _, msg in list.__iter__(self))

    def add(self, event: Event, size: int) -> None:
        """Take an event of so many bytes."""
        self.append(event)
        self.sizes.append(size)


def packed(event: Event) -> Event:
    """Pack the msg of an event, if it is of Python's own types.

    Parameters
    ----------
    event : tuple
        Its time, and the msg, which holds no buffer but bytes: of any other, such as an
        array, bytes would come back.

    Returns
    -------
    tuple

    Examples
    --------
    >>> event = (0.5, {"action": "lost", "keys": {"x", ("y", 0)}})
    >>> type(packed(event)[1]).__name__, unpacked(packed(event)) == event
    ('Packed', True)
    """
    try:
        return event[0], Packed(marshal.dumps(event[1]))
    except ValueError:  # of another type, or too deep
        return event


def unpacked(event: Event) -> Event:
    """Return an event as it was.

    Parameters
    ----------
    event : tuple
        As :func:`packed` gives it.

    Returns
    -------
    tuple
    """
    if type(event[1]) is Packed:
        return event[0], marshal.loads(event[1])
    return event


def kept(event: Event, limit: int) -> Event:
    """Return an event as it is kept: packed, or else a copy where it is too large.

    Parameters
    ----------
    event : tuple
        Its time and the msg.
    limit : int
        Bytes that it may take.

    Returns
    -------
    tuple

    Examples
    --------
    >>> moves = [("x", number) for number in range(10_000)]
    >>> event = unpacked(kept((0.5, ("request", moves)), 1000))
    >>> event[1][0], event[1][1] == moves[:len(event[1][1])]
    ('request', True)
    """
    msg = event[1]
    size, is_plain = size_of(msg, PACKS * limit)
    if is_plain and size <= PACKS * limit:
        as_it_is = packed(event)
        if nbytes_of(as_it_is, limit) <= limit:
            return as_it_is
    elif size <= limit:
        return event
    shorter = _shortened(event, limit) if type(msg) is tuple else None
    return shorter or packed((event[0], plain(msg, limit // TAKES)[0]))


def _shortened(event: Event, limit: int) -> Event | None:
    """Leave out the end of a list: whoever knows the msg finds the rest as it was.

    So it is with the moves of work stealing, which its page and its story read.
    """
    msg = event[1]
    lists = [i for i, item in enumerate(msg[:FIELDS]) if type(item) is list]
    place = max(lists, key=lambda i: len(msg[i]), default=-1)
    items = msg[place][:limit] if lists else []
    while items:
        del items[len(items) // 2 :]
        shorter = (*msg[:place], items, *msg[place + 1 :])
        size, is_plain = size_of(shorter, PACKS * limit)
        if not is_plain:
            break
        if size <= PACKS * limit:
            event = packed((event[0], shorter))
            if nbytes_of(event, limit) <= limit:
                return event
    return None


def nbytes_of(event: Event, limit: int) -> int:
    """Estimate the bytes of an event as it is kept.

    Parameters
    ----------
    event : tuple
        As :func:`packed` gives it.
    limit : int
        Bytes after which the rest is not looked at.

    Returns
    -------
    int
    """
    if type(event[1]) is Packed:
        return EVENT_BYTES + len(event[1])
    return EVENT_BYTES + size_of(event[1], limit)[0]
