"""TaskQueue: the queued tasks, without an object of its own for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from distributed.collections import HeapSet
from sortedcontainers import SortedKeyList


class TaskQueue(HeapSet[Any]):
    """Tasks in the order of their priorities, and else in that of their arrival.

    Upstream's keeps a tuple, a number and a weak reference for each task. Here a task
    takes its places in two lists and in a set.

    Parameters
    ----------
    key : callable
        Returns the priority of a task. A task keeps its place if this changes later.
    """

    __slots__ = ("_sorted_tasks",)

    _data: set[Any]
    _sorted_tasks: SortedKeyList

    def __init__(self, *, key: Callable[[Any], Any]) -> None:
        super().__init__(key=key)
        self._sorted_tasks = SortedKeyList(key=key)

    def __reduce__(self) -> Any:
        # As upstream's, whose entries have the priority and a number.
        entries = [(self.key(v), i, v) for i, v in enumerate(self._sorted_tasks)]
        return HeapSet._unpickle, (self.key, len(entries), entries)

    def add(self, value: Any) -> None:
        """Add a task, unless it is there."""
        if value not in self._data:
            self._sorted_tasks.add(value)
            self._data.add(value)

    def discard(self, value: Any) -> None:
        """Remove a task, if it is there."""
        if value not in self._data:
            return
        self._data.discard(value)
        try:
            self._sorted_tasks.remove(value)
        except ValueError:  # its priority was changed: its place is that of the old one
            self._sorted_tasks.pop(list(self._sorted_tasks).index(value))

    def peek(self) -> Any:
        """Return the first task."""
        if not self._data:
            raise KeyError("peek into empty set")
        return self._sorted_tasks[0]

    def peekn(self, n: int) -> Iterator[Any]:
        """Iterate over the first tasks."""
        return islice(self._sorted_tasks, max(n, 0))

    def pop(self) -> Any:
        """Remove and return the first task."""
        return self._pop(0)

    def peekright(self) -> Any:
        """Return the last task."""
        if not self._data:
            raise KeyError("peek into empty set")
        return self._sorted_tasks[-1]

    def popright(self) -> Any:
        """Remove and return the last task."""
        return self._pop(-1)

    def sorted(self) -> Iterator[Any]:
        """Iterate over all tasks, the first one first."""
        return iter(self._sorted_tasks)

    def clear(self) -> None:
        """Remove all tasks."""
        self._data.clear()
        self._sorted_tasks.clear()

    def _pop(self, index: int) -> Any:
        if not self._data:
            raise KeyError("pop from an empty set")
        value = self._sorted_tasks.pop(index)
        self._data.discard(value)
        return value
