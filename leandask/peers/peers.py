"""Peers: what a scheduler holds of each worker and client takes little room."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from leandask import _compat
from leandask._throttle import Throttle
from leandask.peers import levels
from leandask.peers.ondemand import DequeOnDemand, SetOnDemand
from leandask.peers.samples import MemorySamples
from leandask.peers.told import Texts

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.comm import Comm

logger = logging.getLogger("leandask")

#: Seconds between two warnings.
WARN_SECONDS = 60.0


class Peers:
    """Replaces parts of workers, clients and their connections when they enter.

    Those that are there already stay as they are.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._warning = Throttle(WARN_SECONDS)
        self._texts = Texts()

    def install(self) -> None:
        """Be called with each connection, worker and client that enters."""
        scheduler: Any = self._scheduler
        levels.install(scheduler)
        _compat.on_connection(scheduler, self._guarded(shrink_connection))
        scheduler.stream_comms.on_enter.append(self._guarded(self._shrink_worker))
        scheduler.client_comms.on_enter.append(self._guarded(self._shrink_client))

    def _shrink_worker(self, address: str) -> None:
        ws: Any = self._scheduler.workers[address]
        self._texts.share(ws.versions)
        # The handler of the connection keeps its first message as long as the worker
        # is there, and the metrics in it, 2 kB, are replaced at the next heartbeat.
        first = ws.metrics
        ws.metrics = first.copy()
        first.clear()
        ws.actors, ws.long_running = map(SetOnDemand, (ws.actors, ws.long_running))
        _compat.replace_memory_samples(ws, MemorySamples)

    def _shrink_client(self, name: str) -> None:
        self._texts.share(self._scheduler.clients[name].versions)

    def _guarded(self, shrink: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that does it, and never raises."""

        def shrink_or_warn(peer: Any) -> None:
            try:
                shrink(peer)
            except Exception:
                if self._warning.acquire():
                    logger.warning("%r stays as large as it is", peer, exc_info=True)

        return shrink_or_warn


def shrink_connection(comm: Comm) -> None:
    """Let the buffers of a TCP connection take room only while they are in use."""
    _compat.replace_buffers(getattr(comm, "stream", None), DequeOnDemand)
