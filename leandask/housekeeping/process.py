"""Memory: what makes a process hold less of what is free."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import pickle
from collections.abc import Collection
from typing import Any

#: Bytes of a message from which on it gets memory of its own: glibc's first threshold.
#: What msgpack allocates to pack a message, 256 KiB, gets it too, which takes 12 µs.
LARGE_MESSAGE = 128 * 1024
#: Parameters of ``mallopt``, from glibc's ``malloc.h``.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def rebuild(table: Any) -> None:
    """Give a dict or a set the size that its entries need, in place.

    Parameters
    ----------
    table : dict or set

    Examples
    --------
    >>> import sys
    >>> tasks = dict.fromkeys(range(100_000))
    >>> for task in range(99_999):
    ...     del tasks[task]
    >>> before = sys.getsizeof(tasks)
    >>> rebuild(tasks)
    >>> sys.getsizeof(tasks) < before / 1000, tasks
    (True, {99999: None})
    """
    entries = table.copy()
    table.clear()
    table.update(entries)


def make_anew(histories: Collection[Any]) -> None:
    """Make the entries of histories anew, out of what is free once they are gone.

    The last entries of a history were made when memory was full: each keeps the block
    that it is in from going back.

    Parameters
    ----------
    histories : collection of deque or list
        Changed in place. One that can't be pickled stays as it is.
    """
    pickled = []
    for history in histories:
        try:
            pickled.append((history, pickle.dumps(list(history), protocol=5)))
        except Exception:  # whatever an event holds
            continue
        history.clear()
    for history, entries in pickled:
        history.extend(pickle.loads(entries))


def trim() -> None:
    """Give free memory back to the system, where the C library can be told to."""
    with contextlib.suppress(AttributeError, OSError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Have a process that is a scheduler and nothing else hold less of what is free.

    Large messages get memory of their own, which goes back with each; of glibc's
    allocator, whose threshold for that rises to 32 MiB otherwise. What is imported by
    now is taken out of the collection of garbage, which is shorter without it.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        for parameter in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            libc.mallopt(parameter, LARGE_MESSAGE)
    gc.collect()
    gc.freeze()
