"""Stands in for the network: what is sent is kept, what is asked for is done."""

from __future__ import annotations

import asyncio

from distributed import active_memory_manager, scheduler, stealing
from distributed.batched import BatchedSend


def stand_in(monkeypatch, clock) -> None:
    """Give schedulers a clock, and no connections and threads."""
    for module in (scheduler, stealing, active_memory_manager):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(scheduler, "monotonic", clock)
    monkeypatch.setattr(scheduler, "BatchedSend", Outbox)
    monkeypatch.setattr(scheduler, "offload", _call)


async def _call(function, *args, **kwargs):
    return function(*args, **kwargs)


class Clock:
    """The time for both schedulers: a second passes with each step."""

    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


class Comm:
    """A connection: open until `gone` is set."""

    name = None
    peer_address = "inproc://peer"

    def __init__(self):
        self.gone = asyncio.Event()

    async def write(self, msg):
        pass

    def closed(self):
        return self.gone.is_set()

    async def close(self):
        self.gone.set()

    def abort(self):
        self.gone.set()


class Outbox(BatchedSend):
    """Keeps what is sent."""

    def start(self, comm):
        pass

    def take(self):
        """Return what was sent since the last call."""
        sent, self.buffer = self.buffer, []
        return sent

    async def close(self, timeout=None):
        pass

    def abort(self):
        pass


class Pool:
    """Stands in for the scheduler's connections to workers, which obey."""

    def __init__(self):
        #: Addresses of workers that do not get all that they shall gather next.
        self.failing = set()

    def __call__(self, addr):
        return Peer(self, addr)

    def remove(self, addr):
        pass

    async def close(self):
        pass


class Peer:
    """Stands in for a connection to a worker."""

    def __init__(self, pool, address):
        self.pool, self.address = pool, address

    async def gather(self, who_has):
        if self.address in self.pool.failing:
            self.pool.failing.remove(self.address)  # upstream asks until it succeeds
            return {"status": "partial-fail", "keys": sorted(who_has, key=str)[:1]}
        return {"status": "OK"}

    async def free_keys(self, keys, stimulus_id):
        pass


def metrics(name, memory=0):
    """What a worker says of itself; no two have the same memory."""
    number = int(str(name).split("-")[-1])
    memory += 2**20 * (number + 1) + number
    spilled = {"memory": 0, "disk": 0}
    return {
        "memory": memory,
        "managed_bytes": 0,
        "spilled_bytes": spilled,
        "event_loop_interval": 0,
        "bandwidth": {"total": 100_000_000, "workers": {}, "types": {}},
        "digests_total_since_heartbeat": {},
        "transfer": {"incoming_bytes": 0, "outgoing_bytes": 0},
        "task_counts": {},
        "cpu": 0,
        "time": 0,
    }
