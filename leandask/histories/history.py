"""Histories: the bounded containers that replace the scheduler's own.

A client may fetch some of them (``client.run_on_scheduler``). These are pickled as
upstream's types, so that a client needs no leandask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from leandask import _compat
from leandask.histories.names import Limit, is_beyond

if TYPE_CHECKING:
    from distributed.batched import BatchedSend
    from distributed.diagnostics.plugin import SchedulerPlugin

T = TypeVar("T")


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
    #: Bytes of the long names in them, where they are not.
    weight: int = 0


class History(deque[T]):
    """A bounded deque that counts the entries ever added, and weighs their names.

    Parameters
    ----------
    items : collection, optional
        What it holds at first, as far as its bounds allow.
    maxlen : int or None, optional
        Entries kept; None is unbounded.
    limit : Limit or None, optional
        Bytes kept; None is unbounded.
    """

    #: Entries ever added: the first items too, or all that they have seen if they are a
    #: History.
    seen: int
    #: Bytes of long names in all entries.
    weight: int

    def __init__(
        self,
        items: Collection[T] = (),
        maxlen: int | None = None,
        limit: Limit | None = None,
    ) -> None:
        super().__init__((), maxlen)
        self.limit = limit
        self.extend(items)
        self.seen = getattr(items, "seen", len(items))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}, {self.seen} seen>"

    def __reduce__(self) -> Any:
        return deque, (list(self), self.maxlen)

    def weigh(self, item: T) -> int:
        """Bytes of the long names in an entry."""
        return 0

    def reweigh(self) -> None:
        """Weigh all entries, and evict the oldest ones beyond the limit."""
        self.weight = sum(map(self.weigh, self))
        self._make_room(0, 0)

    def append(self, item: T) -> None:
        """Add an entry at the right."""
        self.seen += 1
        weight = self.weigh(item)
        if weight or self.weight:
            self._make_room(1, weight)
        super().append(item)

    def extend(self, items: Iterable[T]) -> None:
        """Add entries that were here before."""
        super().extend(items)
        self.reweigh()

    def clear(self) -> None:
        """Remove all entries."""
        super().clear()
        self.weight = 0

    def _make_room(self, entries: int, weight: int) -> None:
        """Evict until further entries, whose names have a weight, fit in."""
        if self.maxlen == 0:
            return
        self.weight += weight
        while self and is_beyond(
            len(self) + entries, self.weight, self.maxlen, self.limit
        ):
            self.weight -= self.weigh(self._pop_oldest())

    def _pop_oldest(self) -> T:
        return self.popleft()


#: The log of a connection that keeps no batches. One is enough: a deque has 760 bytes.
NO_MESSAGES: deque[Any] = deque(maxlen=0)


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

    #: Called with the name of each connection that is added.
    on_enter: list[Callable[[str], None]]

    def __init__(
        self,
        items: Mapping[str, BatchedSend],
        messages: int | None,
        on_leave: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.messages = messages
        self.on_enter = []
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
        for act in self.on_enter:
            act(name)

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
    log = NO_MESSAGES
    if messages != 0:
        log = deque(_compat.get_message_log(connection), maxlen=messages)
    _compat.set_message_log(connection, log)


def install_connections(
    scheduler: Any, messages: int | None, on_leave: Callable[[str], None]
) -> None:
    """Bound the connections to workers and to clients, which may leave."""
    scheduler.stream_comms = Connections(scheduler.stream_comms, messages)
    scheduler.client_comms = Connections(scheduler.client_comms, messages, on_leave)


def resize_connections(scheduler: Any, messages: int | None) -> None:
    """Set another number of batches to keep per connection."""
    scheduler.stream_comms.resize(messages)
    scheduler.client_comms.resize(messages)


def look_at_messages(scheduler: Any) -> Held:
    """Count the batches that all connections keep."""
    kinds = scheduler.stream_comms, scheduler.client_comms
    holders = sum(map(len, kinds))
    if all(kind.messages == 0 for kind in kinds):
        return Held(0, None, holders)
    logs = [_compat.get_message_log(c) for kind in kinds for c in kind.values()]
    return Held(sum(map(len, logs)), None, holders)
