"""The cache of :func:`dask.utils.key_split`, bounded."""

from __future__ import annotations

from functools import lru_cache

import dask.utils

from leandask import _compat


def bound_key_cache(maxlen: int | None) -> None:
    """Bound the cache of the names of functions by key, for the whole process.

    Upstream's holds 100,000 keys of up to 334 bytes, 17 to 33 MB, most of tasks that
    are gone. What is not in the cache takes about 1 µs.

    Parameters
    ----------
    maxlen : int or None
        Keys kept; None leaves the cache as it is. An earlier bound that is smaller
        stays.
    """
    cached = _compat.get_key_split()
    if maxlen is not None and cached.cache_parameters()["maxsize"] > maxlen:
        _compat.set_key_split(lru_cache(maxlen)(cached.__wrapped__))


def resize_key_cache(maxlen: int | None) -> None:
    """Bound the same cache anew, whatever its bound was.

    Parameters
    ----------
    maxlen : int or None
        Keys kept; None gives upstream's cache its place back.
    """
    whole = dask.utils.key_split
    bounded = whole if maxlen is None else lru_cache(maxlen)(whole.__wrapped__)
    _compat.set_key_split(bounded)


def clear_key_caches(maxlen: int | None) -> None:
    """Empty the caches that are too full: ours, and what the rest of the process uses.

    Parameters
    ----------
    maxlen : int or None
        Keys that each may hold; None is unbounded.
    """
    for cached in (_compat.get_key_split(), dask.utils.key_split):
        if maxlen is not None and cached.cache_info().currsize > maxlen:
            cached.cache_clear()
