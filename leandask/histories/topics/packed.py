"""The last events of a topic, packed into few bytes."""

from __future__ import annotations

import marshal
import sys
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from leandask.histories.sizes import size_of
from leandask.records.payload import plain

#: Bytes of an event in addition to its packed msg: a tuple, a time, a header of bytes.
EVENT_BYTES = 120
#: Bytes of a msg per byte of its packed copy, and bytes per character of a shortened
#: msg, as small strings take them.
PACKING_RATIO, CHARACTER_BYTES = 4, 8
#: Items of a tuple that are searched for a list to be shortened.
SEARCHED_ITEMS = 8

#: Time in seconds since the epoch, and the msg, as upstream keeps it in a topic.
Event = tuple[float, Any]


class Packed(bytes):
    """A msg as bytes, a third of the memory of its values.

    It also keeps no objects alive: the keys in a msg were made among hundreds of
    others, and would keep the memory around each of them from being used again.
    """

    __slots__ = ()


class Total:
    """The bytes of the events of several topics together."""

    __slots__ = ("nbytes",)

    def __init__(self) -> None:
        self.nbytes = 0


class PackedEvents(Sequence[Event]):
    """The last events of a topic, packed where they are of Python's own types.

    It reads as upstream's deque does, and counts its bytes at every change. It owns a
    list, as an empty deque takes 0.7 kB and most topics are small.

    Parameters
    ----------
    maxlen : int or None
        Events kept. One more evicts the oldest.
    total : Total
        Counts the bytes of the events of other topics too.
    """

    __slots__ = ("_events", "_sizes", "_total", "maxlen", "nbytes")

    #: Events kept, or None.
    maxlen: int | None
    #: Approximate bytes of the events that were measured.
    nbytes: int

    def __init__(self, maxlen: int | None, total: Total) -> None:
        self.maxlen = maxlen
        self.nbytes = 0
        self._total = total
        self._events: list[Event] = []
        self._sizes = array("L")  # bytes of each event; 0 where it is not measured

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}>"

    def __reduce__(self) -> Any:
        # A client that fetches it needs no leandask.
        return deque, (list(self), self.maxlen)

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return map(unpack, self._events)

    def __getitem__(self, index: Any) -> Any:
        found = self._events[index]
        return unpack(found) if type(found) is tuple else [*map(unpack, found)]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (PackedEvents, deque, list)):
            return list(self) == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of a deque

    @property
    def is_packed(self) -> bool:
        """Whether all events are packed, so that no object of a user is in them."""
        return all(type(msg) is Packed for _, msg in self._events)

    def are_fit(self, most: int) -> bool:
        """Whether the bytes of all events are counted, and none takes more."""
        return 0 not in self._sizes and max(self._sizes, default=0) <= most

    def add(self, event: Event, size: int) -> None:
        """Add an event, as :func:`fit` returns it, of `size` bytes."""
        if self.maxlen is not None and len(self._events) >= self.maxlen:
            if not self.maxlen:
                return
            self.evict()
        self._events.append(event)
        self._sizes.append(size)
        self._count(size)

    def append(self, event: Event) -> None:
        """Add an event, packed if it can be, and measured."""
        event = fit(event, sys.maxsize)
        self.add(event, nbytes_of(event, sys.maxsize))

    def extend(self, events: Iterable[Event]) -> None:
        """Add events in their order."""
        for event in events:
            self.append(event)

    def evict(self) -> None:
        """Remove the oldest event."""
        del self._events[0]
        self._count(-self._sizes.pop(0))

    def free(self, nbytes: int) -> None:
        """Remove the oldest events until they have taken `nbytes`, or none is left."""
        if self._sizes and self._sizes[0] >= nbytes > 0:  # nearly always
            self.evict()
            return
        count = freed = 0
        for size in self._sizes:
            if freed >= nbytes:
                break
            count += 1
            freed += size
        self._remove(count, freed)

    def resize(self, maxlen: int | None) -> None:
        """Keep at most `maxlen` events, the newest ones."""
        self.maxlen = maxlen
        if maxlen is not None and len(self) > maxlen:
            count = len(self) - maxlen
            self._remove(count, sum(self._sizes[:count]))

    def popleft(self) -> Event:
        """Remove and return the oldest event."""
        event: Event = self[0]
        self.evict()
        return event

    def clear(self) -> None:
        """Remove all events."""
        self._events.clear()
        del self._sizes[:]
        self._count(-self.nbytes)

    def _remove(self, count: int, nbytes: int) -> None:
        """Remove the oldest events at once: each alone would move all the others."""
        del self._events[:count], self._sizes[:count]
        self._count(-nbytes)

    def _count(self, size: int) -> None:
        self.nbytes += size
        self._total.nbytes += size


def pack(event: Event) -> Event:
    """Pack the msg of an event, if it is of Python's own types.

    The only buffers in it may be bytes: an array would come back as bytes.

    Examples
    --------
    >>> event = (0.5, {"action": "lost", "keys": {"x", ("y", 0)}})
    >>> type(pack(event)[1]).__name__, unpack(pack(event)) == event
    ('Packed', True)
    """
    try:
        return event[0], Packed(marshal.dumps(event[1]))
    except ValueError:  # of another type, or nested too deep
        return event


def unpack(event: Event) -> Event:
    """Return an event as it was before :func:`pack`."""
    if type(event[1]) is Packed:
        return event[0], marshal.loads(event[1])
    return event


def fit(event: Event, limit: int) -> Event:
    """Return an event packed, or a shortened copy if it takes more than `limit` bytes.

    Examples
    --------
    >>> moves = [("x", number) for number in range(10_000)]
    >>> event = unpack(fit((0.5, ("request", moves)), 1000))
    >>> event[1][0], event[1][1] == moves[:len(event[1][1])]
    ('request', True)
    """
    msg = event[1]
    size, is_plain = size_of(msg, PACKING_RATIO * limit)
    if is_plain and size <= PACKING_RATIO * limit:
        whole = pack(event)
        if nbytes_of(whole, limit) <= limit:
            return whole
    elif size <= limit:
        return event
    shorter = _shortened(event, limit) if type(msg) is tuple else None
    return shorter or pack((event[0], plain(msg, limit // CHARACTER_BYTES)[0]))


def _shortened(event: Event, limit: int) -> Event | None:
    """Cut the longest list of a msg, and leave everything else as it was.

    The page and the story of work stealing read such lists of moves.
    """
    msg = event[1]
    lists = [i for i, item in enumerate(msg[:SEARCHED_ITEMS]) if type(item) is list]
    place = max(lists, key=lambda i: len(msg[i]), default=-1)
    items = msg[place][:limit] if lists else []
    while items:
        del items[len(items) // 2 :]
        shorter = (*msg[:place], items, *msg[place + 1 :])
        size, is_plain = size_of(shorter, PACKING_RATIO * limit)
        if not is_plain:
            break
        if size <= PACKING_RATIO * limit:
            event = pack((event[0], shorter))
            if nbytes_of(event, limit) <= limit:
                return event
    return None


def nbytes_of(event: Event, limit: int) -> int:
    """Estimate the bytes of an event as it is kept; stop once above `limit`."""
    if type(event[1]) is Packed:
        return EVENT_BYTES + len(event[1])
    return EVENT_BYTES + size_of(event[1], limit)[0]
