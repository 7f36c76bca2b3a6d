"""Recent: a mapping in the order of use, out of which the longest unused goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: Entries looked at for one that may go, each time one comes. More than one, so that a
#: mapping full of entries in use shrinks as soon as these are idle.
SCAN = 16


class Recent(OrderedDict[K, V]):
    """A mapping in the order of use, bounded as far as its entries are idle.

    Parameters
    ----------
    items : iterable of (key, value), optional
        What it holds at first, the longest unused first.
    maxlen : int or None, optional
        Entries kept; None is unbounded. Entries in use stay, even beyond the bound.
    """

    #: Entries kept, or None.
    maxlen: int | None
    #: Entries that ever came.
    seen: int

    def __init__(
        self, items: Iterable[tuple[K, V]] = (), maxlen: int | None = None
    ) -> None:
        super().__init__()
        self.maxlen = maxlen
        self.seen = 0
        for key, value in items:
            self[key] = value

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}, {self.seen} seen>"

    def __reduce__(self) -> Any:
        # A client that fetches it needs no leandask.
        return dict, (dict(self),)

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            super().__setitem__(key, value)
            self.move_to_end(key)
            return
        super().__setitem__(key, value)
        self.seen += 1
        if self.maxlen is not None and len(self) > self.maxlen:
            self._shrink(sparing=key)

    def resize(self, maxlen: int | None) -> None:
        """Set another bound, and evict what is idle beyond it.

        Parameters
        ----------
        maxlen : int or None
        """
        self.maxlen = maxlen
        if maxlen is None:
            return
        for key, value in list(self.items()):
            if len(self) <= maxlen:
                return
            if self.is_idle(key, value):
                self.evict(key, value)

    def is_idle(self, key: K, value: V) -> bool:
        """Whether an entry may go."""
        return True

    def evict(self, key: K, value: V) -> None:
        """Remove an entry for the bound."""
        del self[key]

    def _shrink(self, sparing: K) -> None:
        assert self.maxlen is not None
        for _ in range(SCAN):
            if len(self) <= self.maxlen:
                return
            key, value = next(iter(self.items()))
            if key != sparing and self.is_idle(key, value):
                self.evict(key, value)
            else:
                self.move_to_end(key)  # so that the next one need not pass it again
