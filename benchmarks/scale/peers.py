"""Simulated peers of a scheduler: their base class, and clients.

They speak its protocol and compute nothing. Each has the two connections of a real one,
through distributed's own comms: a stream of batched messages, and one for calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import rpc
from distributed.batched import BatchedSend
from distributed.comm import Comm, CommClosedError, connect
from distributed.versions import get_versions

VERSIONS = get_versions()


class Peer:
    """Base of workers and clients: has a stream to the scheduler, and reads it.

    Every `interval` it sends a batch of messages.
    """

    def __init__(self, scheduler: str, interval: str) -> None:
        self.scheduler = scheduler
        self._stream = BatchedSend(interval=interval)
        self._rpc = rpc(scheduler)
        self._tasks: list[asyncio.Task[None]] = []

    async def _register(self, **msg: Any) -> Any:
        # Pickled values are not unpickled: a real worker has threads for that.
        comm = await connect(self.scheduler, deserialize=False)
        await comm.write(msg, serializers=["msgpack"])
        answer = await comm.read()
        self._stream.start(comm)
        self._tasks.append(asyncio.create_task(self._listen(comm)))
        return answer

    async def _listen(self, comm: Comm) -> None:
        with contextlib.suppress(CommClosedError):
            while True:
                for msg in await comm.read():
                    self._handle(**msg)

    def _handle(self, op: str, **msg: Any) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Leave as a real peer does."""
        if not self._stream.closed():
            self._stream.send({"op": "close-stream"})
        await self._stream.close()  # which ends the listening
        await self._rpc.close_rpc()
        listening, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await listening  # may have failed


class SimulatedClient(Peer):
    """A client that stays connected and asks for nothing; its number is unique."""

    def __init__(self, scheduler: str, number: int) -> None:
        super().__init__(scheduler, "10ms")
        self.id = f"Client-{number}-{uuid.uuid4()}"

    async def start(self) -> None:
        """Register, and send heartbeats."""
        await self._rpc.identity()
        await self._register(
            op="register-client", client=self.id, reply=False, versions=VERSIONS
        )
        for topic in ("print", "warn"):
            msg = {"op": "subscribe-topic", "topic": topic, "client": self.id}
            self._stream.send(msg)
        self._tasks.append(asyncio.create_task(self._beat()))

    async def _beat(self) -> None:
        interval = dask.config.get("distributed.client.heartbeat")
        while True:
            await asyncio.sleep(parse_timedelta(interval, default="ms"))
            self._stream.send({"op": "heartbeat-client"})

    def _handle(self, op: str, **msg: Any) -> None:
        pass
