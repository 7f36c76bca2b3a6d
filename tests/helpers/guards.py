"""The guard of a scheduler, for tests."""

from __future__ import annotations

import gc

import pytest

from leandask.housekeeping.process import trim_heap

MIB = 2**20


def guard_of(scheduler):
    return scheduler.extensions["leandask"].guard


def leave_room(scheduler, mib):
    """Set the limit so that graphs have so much room."""
    guard = guard_of(scheduler)
    # What is given back later, as at a warning, would be room, too.
    gc.collect()
    trim_heap()
    rss = scheduler.monitor.get_process_memory()
    guard.set({"limit": int((rss + mib * MIB) / guard.refuse), "warn": 1.0})


async def error_of(future):
    with pytest.raises(MemoryError) as caught:
        await future.result()
    return str(caught.value)
