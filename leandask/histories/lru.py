"""LRU: a mapping that evicts the least recently used; bounds of upstream's caches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache, partial, update_wrapper, wraps
from itertools import islice
from sys import getsizeof
from typing import Any, NamedTuple, TypeVar

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.names import Limit, is_beyond, weigh
from leandask.settings.rules import smaller

K = TypeVar("K")
V = TypeVar("V")

#: Entries in use that are passed over, each time one is added, for those that may be
#: evicted. It is more than one, so that a mapping full of entries in use shrinks once
#: these are idle.
SCAN = 16
#: Entries that a round of housekeeping looks at for those that became idle.
LOOKED_AT = 5000
#: Characters of a key whose prefix, escaped form or color is cached.
LONGEST_CACHED = 160
#: Bytes of a place in a table, and of a number in a key.
PLACE_BYTES, NUMBER_BYTES = 50, 24


class LRU(OrderedDict[K, V]):
    """A mapping in the order of use. Its bounds evict entries that are idle.

    Parameters
    ----------
    items : iterable of (key, value), optional
        What it holds at first, the least recently used first.
    maxlen : int or None, optional
        Entries kept; None is unbounded. Entries in use stay, even beyond the bound.
    limit : Limit or None, optional
        Bytes kept; None is unbounded. The newest entry stays, even beyond it.
    """

    maxlen: int | None
    #: Entries ever added.
    seen: int
    #: Bytes of long names.
    weight: int

    def __init__(
        self,
        items: Iterable[tuple[K, V]] = (),
        maxlen: int | None = None,
        limit: Limit | None = None,
    ) -> None:
        super().__init__()
        self.maxlen = maxlen
        self.limit = limit
        self.seen = self.weight = 0
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
        self.weight += self.weigh(key)
        if self.is_full:
            self._shrink(keep=key)

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        self.weight -= self.weigh(key)

    def pop(self, key: K, *default: Any) -> Any:
        """Remove and return a value; not every CPython's calls ``__delitem__``."""
        if key not in self:
            return super().pop(key, *default)
        value = super().__getitem__(key)
        del self[key]
        return value

    def clear(self) -> None:
        """Remove all entries."""
        super().clear()
        self.weight = 0

    @property
    def is_full(self) -> bool:
        """Whether it holds more than its bounds allow."""
        return is_beyond(len(self), self.weight, self.maxlen, self.limit)

    def resize(self, maxlen: int | None, limit: Limit | None = None) -> None:
        """Set other bounds, and evict what is idle beyond them."""
        self.maxlen = maxlen
        self.limit = limit
        self.evict_surplus(len(self))

    def evict_surplus(self, n_looked_at: int = LOOKED_AT) -> None:
        """Evict what became idle beyond the bounds since the last entry was added."""
        for key, value in [*islice(self.items(), n_looked_at)]:
            if not self.is_full:
                return
            if key in self and self.is_idle(key, value):
                self.evict(key, value)
            elif key in self:
                self.move_to_end(key)  # so that the next call starts after it

    def weigh(self, key: K) -> int:
        """Bytes of a long name."""
        return weigh(key)

    def is_idle(self, key: K, value: V) -> bool:
        """Whether an entry may be evicted."""
        return True

    def evict(self, key: K, value: V) -> None:
        """Remove an entry for the bound."""
        del self[key]

    def _shrink(self, keep: K) -> None:
        in_use = 0
        while in_use < SCAN and self.is_full:
            key, value = next(iter(self.items()))
            if key != keep and self.is_idle(key, value):
                self.evict(key, value)
            else:
                self.move_to_end(key)  # so that the next call starts after it
                in_use += 1


def install_key_caches(maxlen: int | None) -> None:
    """Bound the caches of ``key_split``, and of what the dashboard shows.

    Upstream's ``key_split`` caches 100,000 keys of up to 334 bytes, 17 to 33 MB, mostly
    of tasks that are gone. The others have no bound: every key that the page of the
    graph ever drew, at 260 bytes, and every function whose color a page showed, at 200.
    Long keys are not cached. None leaves upstream's bound.

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
    """Empty those of our caches that hold more than `maxlen` keys, and upstream's.

    Upstream's are still used by modules that did not get ours, with keys of any length.
    """
    if maxlen is None:
        return
    for name, whole in _compat.KEY_CACHES.items():
        cached = _compat.get_key_cache(name)
        if cached is not whole and cached.cache_info().currsize > maxlen:
            cached.cache_clear()
        whole.cache_clear()


def _resize_key_cache(name: str, maxlen: int | None) -> None:
    whole = _compat.KEY_CACHES[name]
    if maxlen is None:
        _compat.set_key_cache(name, whole)
    elif maxlen != _maxlen_of(name):
        _compat.set_key_cache(name, _cache_short_keys(whole.__wrapped__, maxlen))


def _cache_short_keys(function: Any, maxlen: int) -> Any:
    """Cache the results of a function for short keys, as ``lru_cache`` does."""
    if function.__name__ == "key_split":
        return _cache_prefixes(function, maxlen)
    cached = lru_cache(maxlen)(function)

    @wraps(function)
    def look_up(key: Any, *args: Any) -> Any:
        if type(key) is str and len(key) <= LONGEST_CACHED:
            return cached(key, *args)
        return function(key, *args)

    for name in ("cache_info", "cache_clear", "cache_parameters"):
        setattr(look_up, name, getattr(cached, name))
    return look_up


class _CacheInfo(NamedTuple):
    """What ``lru_cache`` tells of a cache, less the hits, which nobody counts here."""

    misses: int
    maxsize: int
    currsize: int
    #: Bytes of the keys, with their places in the table.
    nbytes: int


class _Prefixes(dict[Any, str]):
    """The prefixes of short keys. A hit runs no line of Python.

    Once it is full it is emptied: each new task asks at least twice, and nobody later.
    """

    def __init__(self, function: Callable[[Any], str], maxlen: int) -> None:
        super().__init__()
        self.function = function
        self.maxlen = maxlen
        self.misses = self.nbytes = 0

    def __missing__(self, key: Any) -> str:
        self.misses += 1
        if type(key) is tuple and key:
            # The function would ask itself, which is upstream's whole cache.
            prefix, is_short = self[key[0]], not weigh(key)
        else:
            prefix = self.function(key)
            is_short = type(key) is str and len(key) <= LONGEST_CACHED
        if is_short and self.maxlen:
            if len(self) >= self.maxlen:
                self.clear()
            self[key] = prefix
            self.nbytes += getsizeof(key) + PLACE_BYTES
            if type(key) is tuple:
                self.nbytes += NUMBER_BYTES * (len(key) - 1)
        return prefix

    def clear(self) -> None:
        """Forget all keys."""
        super().clear()
        self.nbytes = 0

    def info(self) -> _CacheInfo:
        """Return counters, as ``cache_info`` does."""
        return _CacheInfo(self.misses, self.maxlen, len(self), self.nbytes)


def _cache_prefixes(function: Any, maxlen: int) -> Any:
    prefixes = _Prefixes(function, maxlen)
    look_up: Any = update_wrapper(partial(prefixes.__getitem__), function)
    look_up.cache_info = prefixes.info
    look_up.cache_clear = prefixes.clear
    look_up.cache_parameters = lambda: {"maxsize": maxlen, "typed": False}
    return look_up


def _maxlen_of(name: str) -> int | None:
    maxlen: int | None = _compat.get_key_cache(name).cache_parameters()["maxsize"]
    return maxlen


def look_at_key_caches() -> Held:
    """Count the keys whose prefix is cached."""
    info = _compat.get_key_cache("key_split").cache_info()
    return Held(info.currsize, info.misses, nbytes=getattr(info, "nbytes", None))
