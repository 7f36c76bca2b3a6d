"""The guard of a scheduler, for tests."""

from __future__ import annotations

import asyncio

import pytest

MIB = 2**20


def guard_of(scheduler):
    return scheduler.extensions["leandask"].guard


def leave_room(scheduler, mib):
    """Set the limit so that graphs have so much room."""
    guard = guard_of(scheduler)
    rss = scheduler.monitor.get_process_memory()
    guard.set({"limit": int((rss + mib * MIB) / guard.refuse)})


async def error_of(future):
    with pytest.raises(MemoryError) as caught:
        await asyncio.wait_for(future.result(), 30)
    return str(caught.value)
