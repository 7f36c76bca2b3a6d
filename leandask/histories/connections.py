"""Connections to workers and clients, and what they keep of the batches they sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from leandask import _compat

if TYPE_CHECKING:
    from distributed.batched import BatchedSend


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


def resize_messages(connection: BatchedSend, messages: int | None) -> None:
    """Keep only the last sent batches of a connection; None keeps all."""
    _compat.set_message_log(
        connection, deque(_compat.get_message_log(connection), maxlen=messages)
    )
