"""Memory in use: what the objects of a process take, without what is free in its heap.

The scheduler imports this module, so that it imports nothing which a scheduler has not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
import tempfile
from typing import Any


class MallInfo(ctypes.Structure):
    """What glibc tells of its heaps, in bytes, from its ``malloc.h``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def small_objects() -> int:
    """Count the bytes of blocks that CPython's own allocator has given out."""
    with tempfile.TemporaryFile() as file:
        stderr = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()  # writes to stderr, and returns nothing
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        file.seek(0)
        found = re.search(rb"in allocated blocks *= *([\d,]+)", file.read())
    assert found is not None
    return int(found[1].replace(b",", b""))


def larger_objects() -> int:
    """Count the bytes that glibc has given out of its heaps.

    CPython's arenas are not among them, nor what is mapped on its own: tables of
    thousands of tasks, which are shorter or longer by when they were last resized.
    """
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = MallInfo
    return int(libc.mallinfo2().uordblks)


async def in_use(dask_scheduler: Any = None) -> int:
    """Count the bytes in use of a lean scheduler: one to run on the scheduler itself.

    Its housekeeping is done before, and garbage is collected. Unlike RSS it says
    nothing of what is free between objects, into which a leak of some MiB may go before
    RSS rises.
    """
    await dask_scheduler.extensions["leandask"].housekeeping.run()
    gc.collect()
    return small_objects() + larger_objects()
