"""Workers that are lost while they process a task."""

from __future__ import annotations

from tests.helpers.schedulers import until

#: Seconds for which such a task sleeps.
FOR_EVER = 10_000


def lose(s, address, **kwargs):
    """Remove a worker as if its process had died."""
    return s.remove_worker(address, stimulus_id="lost", **kwargs)


def worker_of(s, key):
    """The worker that is processing a task."""
    ts = s.tasks.get(key)
    return ts.processing_on if ts is not None else None


async def processing(s, key):
    await until(lambda: worker_of(s, key) is not None)
    return worker_of(s, key).address


async def lose_worker_of(s, key):
    """Lose the worker that is processing a task, and return its address."""
    address = await processing(s, key)
    await lose(s, address)
    return address
