"""Upstream's caches by key and by host, of the whole process, bounded."""

from __future__ import annotations

from functools import lru_cache

from leandask import _compat
from leandask.settings.rules import smaller


def bound_key_caches(maxlen: int | None, anew: bool = False) -> None:
    """Bound the caches of the names of functions, and of what the dashboard shows.

    Upstream's first holds 100,000 keys of up to 334 bytes, 17 to 33 MB, most of tasks
    that are gone. The others have no bound: every key that the page of the graph ever
    drew, at 260 bytes, and every function whose color a page showed, at 200. What is
    not in a cache takes about 1 µs.

    The addresses of hosts get a cache of 10,000 at 200 bytes in any case: what is not
    in it may be asked of DNS, so that it is never emptied either.

    Parameters
    ----------
    maxlen : int or None
        Keys that each may hold; None leaves upstream's bound.
    anew : bool, optional
        Whether an earlier bound that is smaller goes; by default it stays.
    """
    for name, whole in _compat.KEY_CACHES.items():
        present = _compat.get_key_cache(name).cache_parameters()["maxsize"]
        bound = maxlen if anew else smaller(maxlen, present)
        if bound is None:
            _compat.set_key_cache(name, whole)
        elif bound != present:
            _compat.set_key_cache(name, lru_cache(bound)(whole.__wrapped__))
    _compat.set_key_cache("ensure_ip", _compat.HOSTS)


def clear_key_caches(maxlen: int | None) -> None:
    """Empty the caches that are too full: ours, and what the rest of the process uses.

    Parameters
    ----------
    maxlen : int or None
        Keys that each may hold; None is unbounded.
    """
    for name, whole in _compat.KEY_CACHES.items():
        for cached in (_compat.get_key_cache(name), whole):
            if maxlen is not None and cached.cache_info().currsize > maxlen:
                cached.cache_clear()
