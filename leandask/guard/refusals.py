"""Refusals: what tells of graphs that were refused, in the log and to the client."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from leandask.records.schema import GRAPH_REFUSED

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Scheduler
    from distributed.batched import BatchedSend

    from leandask.records.stream import RecordStream

#: Seconds between two records: a client may send many graphs.
INTERVAL = 1.0
#: Keys that are answered at once, and part of the event loop's time that answers take.
SLICE, PART = 500, 0.15
#: Seconds between two looks whether the client has taken the answers.
POLL = 0.005


class Refusals:
    """Counts the graphs that were refused, and records the newest one each second."""

    #: Graphs that were refused.
    count: int

    def __init__(self, stream: RecordStream) -> None:
        self._stream = stream
        self.count = 0
        self._newest: tuple[str, dict[str, Any]] | None = None
        self._is_waiting = False

    def add(self, text: str, fields: dict[str, Any]) -> None:
        """Count a graph that was refused, and record it now or within a second."""
        self.count += 1
        self._newest = text, {**fields, "refused_total": self.count}
        if not self._is_waiting:
            self._record()

    def _record(self) -> None:
        newest, self._newest = self._newest, None
        self._is_waiting = newest is not None
        if newest is not None:
            text, fields = newest
            self._stream.life(GRAPH_REFUSED, text, fields, logging.WARNING, force=False)
            asyncio.get_running_loop().call_later(INTERVAL, self._record)


class Answer:
    """Sets futures of a client to an error, as fast as the client takes it.

    The error is a `MemoryError`, which a client without leandask has too.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    client : str
    text : str
        What the error says.
    """

    def __init__(self, scheduler: Scheduler, client: str, text: str) -> None:
        self._scheduler = scheduler
        self._client = client
        self._error = {
            "op": "task-erred",
            "exception": pickle.dumps(MemoryError(text), protocol=4),
            "traceback": None,
        }

    async def send(self, keys: list[Key], mentioned: Container[Key] = ()) -> None:
        """Send the error for these keys, and wait until the client has taken it.

        Keys of tasks that the client wanted already are left out, unless these have
        nothing to run, or the client has said something of them since, such as that it
        releases them.
        """
        for first in range(0, len(keys), SLICE):
            begun = time.perf_counter()
            comm = self._scheduler.client_comms.get(self._client)
            if comm is None or comm.comm is None or comm.comm.closed():
                return
            some = keys[first : first + SLICE]
            told = [k for k in some if k in mentioned or self._is_new(k)]
            comm.send(*({**self._error, "key": k} for k in told))
            took = time.perf_counter() - begun
            await asyncio.sleep(took / PART)
            while _has_unsent(comm) and not comm.comm.closed():
                await asyncio.sleep(POLL)

    def _is_new(self, key: Key) -> bool:
        ts = self._scheduler.tasks.get(key)
        if ts is None or (ts.state == "released" and ts.run_spec is None):
            return True
        wants = ts.who_wants or ()
        return all(client.client_key != self._client for client in wants)


#: Gets the number of keys of a graph that is refused; returns how to answer them.
Refuse = Callable[[int], Answer]


def _has_unsent(comm: BatchedSend) -> bool:
    """Whether messages wait; upstream does not wait until a client has read any."""
    stream = getattr(comm.comm, "stream", None)
    return bool(comm.buffer or (stream is not None and stream.writing()))
