"""Memory in use: the size of a process's objects, without the free space of its heap.

The scheduler imports this module: it must import nothing that a scheduler does not
import anyway.
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
    """Sizes of glibc's heaps in bytes, as its ``malloc.h`` declares them."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def small_objects() -> int:
    """Count the bytes of blocks that CPython's own allocator has handed out."""
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
    """Count the bytes that glibc has handed out of its heaps.

    Without CPython's arenas, and without large blocks, which glibc maps separately:
    tables of thousands of tasks, whose size depends on when they were last resized.
    """
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = MallInfo
    return int(libc.mallinfo2().uordblks)


async def in_use(dask_scheduler: Any = None) -> int:
    """Count the bytes in use of a scheduler; runs on the scheduler itself.

    It first does the housekeeping of a lean one, and collects garbage. Unlike RSS it
    does not count the free space between objects, which a leak of some MiB may fill
    before RSS rises.
    """
    if leandask := dask_scheduler.extensions.get("leandask"):
        await leandask.housekeeping.run()
    gc.collect()
    return small_objects() + larger_objects()
