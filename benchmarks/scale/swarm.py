"""A process of simulated peers, and the handle by which a benchmark controls it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import dask

from benchmarks.scale.peers import Peer, SimulatedClient
from benchmarks.scale.workers import Quota, SimulatedWorker

PATIENCE = 600  # seconds until tasks that do not finish are an error
CONNECTING = 20  # peers that register at the same time


class Peers:
    """Simulated workers and clients of one scheduler, all in this process."""

    def __init__(self, scheduler: str) -> None:
        self.scheduler = scheduler
        self.quota = Quota()
        self.workers: list[SimulatedWorker] = []
        self.clients: list[SimulatedClient] = []
        self._number = 0

    async def have_workers(self, count: int, nthreads: int = 1) -> None:
        """Start or close workers until there are ``count`` of them."""

        def make() -> SimulatedWorker:
            self._number += 1
            return SimulatedWorker(self.scheduler, self._number, self.quota, nthreads)

        await self._have(self.workers, count, make)

    async def have_clients(self, count: int) -> None:
        """Start or close clients until there are ``count`` of them."""

        def make() -> SimulatedClient:
            self._number += 1
            return SimulatedClient(self.scheduler, self._number)

        await self._have(self.clients, count, make)

    async def hold(self) -> None:
        """Hold all tasks until :meth:`finish`."""
        self.quota.left = 0

    async def finish(self, count: int | None = None) -> None:
        """Finish ``count`` tasks and wait for that; if None, all, and those to come."""
        self.quota.left = math.inf if count is None else count
        for worker in self.workers:
            worker.work()
        end = time.monotonic() + PATIENCE
        while count is not None and self.quota.left:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.quota.left} tasks are not finished")
            await asyncio.sleep(0.01)

    async def _have(
        self, peers: list[Any], count: int, make: Callable[[], Peer]
    ) -> None:
        free = asyncio.Semaphore(CONNECTING)

        async def start() -> None:
            async with free:
                await (peer := make()).start()
            peers.append(peer)

        if len(peers) < count:
            await asyncio.gather(*(start() for _ in range(count - len(peers))))
        leaving, peers[count:] = peers[count:], []
        await asyncio.gather(*(peer.close() for peer in leaving))


class Swarm:
    """Handle of a process of :class:`Peers`."""

    def __init__(self, scheduler: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scale.swarm", scheduler],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Swarm:
        return self

    def __exit__(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()  # the scheduler ends next
        self._process.communicate()

    def ask(self, method: str, *args: Any) -> None:
        """Call a method of the peers, and wait until it is done."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([method, *args]) + "\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError(f"The process of peers ended at {method}{args}")


async def _serve(scheduler: str) -> None:
    peers = Peers(scheduler)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        method, *args = json.loads(line)
        await getattr(peers, method)(*args)
        print("done", flush=True)


if __name__ == "__main__":
    # Nobody reads these logs.
    dask.config.set({"distributed.admin.low-level-log-length": 0})
    logging.getLogger("distributed").setLevel(logging.ERROR)
    asyncio.run(_serve(sys.argv[1]))
