"""TaskQueue: the queued tasks, without an object of its own for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from distributed.collections import HeapSet
from sortedcontainers import SortedDict

#: The tasks of one priority, in the order of their arrival. One alone is itself.
Equals = OrderedDict


class TaskQueue(HeapSet[Any]):
    """Tasks in the order of their priorities, and else in that of their arrival.

    Upstream's keeps a tuple, a number and a weak reference for each task. Here a task
    takes a place in two dicts and a list.

    Parameters
    ----------
    key : callable
        Returns the priority of a task. A task keeps its place if this changes later.
    """

    __slots__ = ("_by_priority",)

    #: The priority that each task came with.
    _data: dict[Any, Any]  # type: ignore[assignment]
    _by_priority: SortedDict

    def __init__(self, *, key: Callable[[Any], Any]) -> None:
        super().__init__(key=key)
        self._data = {}
        self._by_priority = SortedDict()

    def __reduce__(self) -> Any:
        # As upstream's, whose entries have the priority and a number.
        entries = [(self._data[v], i, v) for i, v in enumerate(self.sorted())]
        return HeapSet._unpickle, (self.key, len(entries), entries)

    def add(self, value: Any) -> None:
        """Add a task, unless it is there."""
        if value in self._data:
            return
        priority = self._data[value] = self.key(value)
        place = self._by_priority.setdefault(priority, value)
        if type(place) is Equals:
            place[value] = None
        elif place is not value:
            self._by_priority[priority] = Equals({place: None, value: None})

    def discard(self, value: Any) -> None:
        """Remove a task, if it is there."""
        if value not in self._data:
            return
        priority = self._data.pop(value)
        place = self._by_priority[priority]
        if type(place) is Equals:
            del place[value]
        if type(place) is not Equals or not place:
            del self._by_priority[priority]
        if not self._data:
            self.clear()  # a dict keeps the room for the most that it had

    def peek(self) -> Any:
        """Return the first task."""
        return self._peek("peek into empty set", last=False)

    def peekn(self, n: int) -> Iterator[Any]:
        """Iterate over the first tasks."""
        return islice(self.sorted(), max(n, 0))

    def pop(self) -> Any:
        """Remove and return the first task."""
        return self._pop(last=False)

    def peekright(self) -> Any:
        """Return the last task."""
        return self._peek("peek into empty set", last=True)

    def popright(self) -> Any:
        """Remove and return the last task."""
        return self._pop(last=True)

    def sorted(self) -> Iterator[Any]:
        """Iterate over all tasks, the first one first."""
        for place in self._by_priority.values():
            if type(place) is Equals:
                yield from place
            else:
                yield place

    def clear(self) -> None:
        """Remove all tasks."""
        self._data.clear()
        self._by_priority.clear()

    def _peek(self, error: str, *, last: bool) -> Any:
        if not self._data:
            raise KeyError(error)
        place = self._by_priority.peekitem(-1 if last else 0)[1]
        if type(place) is Equals:
            return next(reversed(place) if last else iter(place))
        return place

    def _pop(self, *, last: bool) -> Any:
        value = self._peek("pop from an empty set", last=last)
        self.discard(value)
        return value
