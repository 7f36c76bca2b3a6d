"""Histories: the bounded containers that replace the scheduler's own.

A client may fetch some of them (``client.run_on_scheduler``). These are pickled as
upstream's types, so that a client needs no leandask.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from distributed.scheduler import ErredTask, Transition

from leandask import _compat
from leandask.records.schema import RECOMMENDATIONS

if TYPE_CHECKING:
    from distributed.batched import BatchedSend
    from distributed.diagnostics.plugin import SchedulerPlugin

T = TypeVar("T")

#: Called without super(), which takes half of the time of an append.
_append = deque.append


class Held(NamedTuple):
    """What a history holds."""

    #: Entries.
    kept: int
    #: Entries ever added, or None where they are not counted.
    seen: int | None = None
    #: How many have this bound: each topic, each connection, or the history alone.
    holders: int = 1
    #: Bytes of the entries, where they are measured.
    nbytes: int | None = None


class History(deque[T]):
    """A bounded deque that counts the entries ever added.

    Parameters
    ----------
    items : collection, optional
        What it holds at first, as far as its bound allows.
    maxlen : int or None, optional
        Entries kept; None is unbounded.
    """

    #: Entries ever added: the first items too, or all that they have seen if they are a
    #: History.
    seen: int

    def __init__(self, items: Collection[T] = (), maxlen: int | None = None) -> None:
        super().__init__(items, maxlen)
        self.seen = getattr(items, "seen", len(items))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}, {self.seen} seen>"

    def __reduce__(self) -> Any:
        return deque, (list(self), self.maxlen)

    def append(self, item: T) -> None:
        """Add an entry at the right."""
        self.seen += 1
        super().append(item)

    def appendleft(self, item: T) -> None:
        """Add an entry at the left."""
        self.seen += 1
        super().appendleft(item)


class TransitionLog(History[Transition]):
    """The last transitions. Each is handed to the stream when it is added.

    Parameters
    ----------
    items : collection of Transition
    maxlen : int or None
        Entries kept.
    stream : callable
        Called with every further transition.
    """

    def __init__(
        self,
        items: Collection[Transition],
        maxlen: int | None,
        stream: Callable[[Transition], None],
    ) -> None:
        super().__init__(items, maxlen)
        self._stream = stream

    def resized(self, maxlen: int | None) -> TransitionLog:
        """Return a log of the same transitions with another bound."""
        return TransitionLog(self, maxlen, self._stream)

    def append(self, item: Transition) -> None:
        """Add the newest transition."""
        self.seen += 1
        if len(item[3]) > RECOMMENDATIONS:  # of a task with very many dependents
            kept = dict(islice(item[3].items(), RECOMMENDATIONS))
            _append(self, item._replace(recommendations=kept))
        else:
            _append(self, item)
        self._stream(item)


class ErredTasks(History[ErredTask]):
    """Erred tasks, newest first, with the heads of their exceptions and tracebacks.

    Parameters
    ----------
    items : collection of ErredTask
    maxlen : int or None
        Entries kept.
    length : int or None
        Characters kept of each text; None keeps all.
    """

    def __init__(
        self,
        items: Collection[ErredTask] = (),
        maxlen: int | None = None,
        length: int | None = None,
    ) -> None:
        self.length = length
        # A deque keeps its last items, which are the oldest here.
        newest = list(items)[:maxlen]
        super().__init__([self._shorten(erred) for erred in newest], maxlen)
        self.seen = getattr(items, "seen", len(items))

    def appendleft(self, item: ErredTask) -> None:
        """Add the newest erred task."""
        super().appendleft(self._shorten(item))

    def _shorten(self, erred: ErredTask) -> ErredTask:
        return dataclasses.replace(
            erred,
            exception_text=erred.exception_text[: self.length],
            traceback_text=erred.traceback_text[: self.length],
        )


class Connections(dict[str, "BatchedSend"]):
    """Connections to workers or clients, whose logs of sent batches are bounded.

    Parameters
    ----------
    items : mapping
    messages : int or None
        Batches kept per connection; None is unbounded.
    on_leave : callable, optional
        Called with the name of each connection that is removed.
    """

    def __init__(
        self,
        items: Mapping[str, BatchedSend],
        messages: int | None,
        on_leave: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.messages = messages
        self._on_leave = on_leave
        for name, connection in items.items():
            self[name] = connection

    def resize(self, messages: int | None) -> None:
        """Set another number of batches to keep per connection."""
        self.messages = messages
        for connection in self.values():
            resize_messages(connection, messages)

    def __setitem__(self, name: str, connection: BatchedSend) -> None:
        resize_messages(connection, self.messages)
        super().__setitem__(name, connection)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        if self._on_leave is not None:
            self._on_leave(name)


class Plugins(dict[str, "SchedulerPlugin"]):
    """Scheduler plugins. What some of them keep is bounded here.

    Parameters
    ----------
    items : mapping
    bound : callable
        Bounds a plugin: called with each, and when the bounds change.
    """

    def __init__(
        self,
        items: Mapping[str, SchedulerPlugin],
        bound: Callable[[SchedulerPlugin], object],
    ) -> None:
        super().__init__()
        self._bound = bound
        for name, plugin in items.items():
            self[name] = plugin

    def resize(self) -> None:
        """Bound all plugins again."""
        for plugin in self.values():
            self._bound(plugin)

    def __setitem__(self, name: str, plugin: SchedulerPlugin) -> None:
        self._bound(plugin)
        super().__setitem__(name, plugin)


def resize_messages(connection: BatchedSend, messages: int | None) -> None:
    """Keep only the last sent batches of a connection; None keeps all."""
    _compat.set_message_log(
        connection, deque(_compat.get_message_log(connection), maxlen=messages)
    )


def look_at_messages(*kinds: Connections) -> Held:
    """Count the batches that all connections of some kinds keep."""
    holders = sum(map(len, kinds))
    if all(kind.messages == 0 for kind in kinds):
        return Held(0, None, holders)
    logs = [_compat.get_message_log(c) for kind in kinds for c in kind.values()]
    return Held(sum(map(len, logs)), None, holders)
