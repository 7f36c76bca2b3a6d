"""LRU: a mapping that evicts the least recently used; bounds of upstream's caches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

from leandask import _compat
from leandask.histories.history import Held
from leandask.settings.rules import smaller

K = TypeVar("K")
V = TypeVar("V")

#: Entries that are checked for one that may be evicted, each time one is added. It is
#: more than one, so that a mapping full of entries in use shrinks once these are idle.
SCAN = 16


class LRU(OrderedDict[K, V]):
    """A mapping in the order of use. Its bound evicts entries that are idle.

    Parameters
    ----------
    items : iterable of (key, value), optional
        What it holds at first, the least recently used first.
    maxlen : int or None, optional
        Entries kept; None is unbounded. Entries in use stay, even beyond the bound.
    """

    maxlen: int | None
    #: Entries ever added.
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
            self._shrink(keep=key)

    def resize(self, maxlen: int | None) -> None:
        """Set another bound, and evict what is idle beyond it."""
        self.maxlen = maxlen
        if maxlen is None:
            return
        for key, value in list(self.items()):
            if len(self) <= maxlen:
                return
            if self.is_idle(key, value):
                self.evict(key, value)

    def is_idle(self, key: K, value: V) -> bool:
        """Whether an entry may be evicted."""
        return True

    def evict(self, key: K, value: V) -> None:
        """Remove an entry for the bound."""
        del self[key]

    def _shrink(self, keep: K) -> None:
        assert self.maxlen is not None
        for _ in range(SCAN):
            if len(self) <= self.maxlen:
                return
            key, value = next(iter(self.items()))
            if key != keep and self.is_idle(key, value):
                self.evict(key, value)
            else:
                self.move_to_end(key)  # so that the next call starts after it


def install_key_caches(maxlen: int | None) -> None:
    """Bound the caches of ``key_split``, and of what the dashboard shows.

    Upstream's ``key_split`` caches 100,000 keys of up to 334 bytes, 17 to 33 MB, mostly
    of tasks that are gone. The others have no bound: every key that the page of the
    graph ever drew, at 260 bytes, and every function whose color a page showed, at 200.
    A miss takes about 1 µs. None leaves upstream's bound.

    The addresses of hosts get a cache of 10,000 at 200 bytes in any case. It is never
    emptied, as a miss may ask DNS.
    """
    for name in _compat.KEY_CACHES:
        # Another scheduler of this process may have a smaller bound.
        _resize_key_cache(name, smaller(maxlen, _maxlen_of(name)))
    _compat.set_key_cache("ensure_ip", _compat.HOSTS)


def resize_key_caches(maxlen: int | None) -> None:
    """Set another bound for the caches by key."""
    for name in _compat.KEY_CACHES:
        _resize_key_cache(name, maxlen)


def clear_key_caches(maxlen: int | None) -> None:
    """Empty the caches that hold more than `maxlen` keys: ours, and upstream's.

    Upstream's are still used by modules that did not get ours.
    """
    for name, whole in _compat.KEY_CACHES.items():
        for cached in (_compat.get_key_cache(name), whole):
            if maxlen is not None and cached.cache_info().currsize > maxlen:
                cached.cache_clear()


def _resize_key_cache(name: str, maxlen: int | None) -> None:
    whole = _compat.KEY_CACHES[name]
    if maxlen is None:
        _compat.set_key_cache(name, whole)
    elif maxlen != _maxlen_of(name):
        _compat.set_key_cache(name, lru_cache(maxlen)(whole.__wrapped__))


def _maxlen_of(name: str) -> int | None:
    maxlen: int | None = _compat.get_key_cache(name).cache_parameters()["maxsize"]
    return maxlen


def look_at_key_caches() -> Held:
    """Count the keys whose prefix is cached."""
    info = _compat.get_key_cache("key_split").cache_info()
    return Held(info.currsize, info.misses)
