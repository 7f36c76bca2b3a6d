"""Workers: when each worker was connected."""

from __future__ import annotations

from typing import Any

from leandask.reading.lines import InvalidRecord
from leandask.reading.timeline.schedulers import SchedulerRun
from leandask.records.text import NAME_LENGTH

#: Workers that have a lane. A lane usually takes 0.4 KB, and 5 KB at most: an address
#: of 512 characters and 16 stays of 180 bytes. So all take 2.5 MB at most.
WORKERS_SHOWN = 500
#: Stays of a worker's lane: it may come back under the address that it had.
STAYS = 16


def worker_of(record: dict[str, Any]) -> str:
    """Return the address of the worker of an event, or raise InvalidRecord."""
    worker = record["worker"]
    if worker is None:
        raise InvalidRecord("worker", "the worker is not named")
    return str(worker[:NAME_LENGTH])


class Stay:
    """One stay of a worker with a scheduler.

    Parameters
    ----------
    run : SchedulerRun
    joined : int or None
        Milliseconds since the epoch; None if that was before the log.
    """

    __slots__ = ("joined", "left", "lost", "run")

    def __init__(self, run: SchedulerRun, joined: int | None) -> None:
        self.run = run
        self.joined = joined
        #: Milliseconds since the epoch; None if it stayed to the end of the log, or of
        #: its scheduler.
        self.left: int | None = None
        #: Whether it left unexpectedly.
        self.lost = False


class Workers:
    """The stays of workers, by address; the page shows each address as a lane.

    Beyond the limit the address whose worker left first is evicted. If no worker has
    left, a new one has no lane.

    Examples
    --------
    >>> workers, run = Workers(), SchedulerRun("Scheduler-1", 0)
    >>> workers.join("tcp://127.0.0.1:8000", run, 5)
    >>> workers.leave("tcp://127.0.0.1:8000", run, 9, lost=True)
    >>> workers
    <Workers: 1/500, 0 not shown>
    """

    __slots__ = ("_left", "hidden", "stays", "stays_hidden")

    def __init__(self) -> None:
        self.stays: dict[str, list[Stay]] = {}
        #: Joins that have no lane, and lanes that were evicted.
        self.hidden = 0
        #: Stays that were evicted, of workers that came back often.
        self.stays_hidden = 0
        # Addresses whose worker has left, in the order in which they left.
        self._left: dict[str, None] = {}

    def join(self, address: str, run: SchedulerRun, ms: int | None) -> None:
        """Add the start of a stay; `ms` is None if it was before the log."""
        lane = self.stays.get(address)
        if lane is None:
            if len(self.stays) == WORKERS_SHOWN:
                self.hidden += 1
                if not self._left:
                    return
                gone = next(iter(self._left))
                del self._left[gone], self.stays[gone]
            lane = self.stays[address] = []
        elif len(lane) == STAYS:
            del lane[0]
            self.stays_hidden += 1
        self._left.pop(address, None)
        lane.append(Stay(run, ms))

    def leave(self, address: str, run: SchedulerRun, ms: int, lost: bool) -> None:
        """Add the end of a stay; `lost` if it was unexpected."""
        lane = self.stays.get(address)
        if lane is None or lane[-1].run is not run or lane[-1].left is not None:
            if self.hidden:  # it may be a worker without a lane
                return
            self.join(address, run, None)
            lane = self.stays.get(address)
            if lane is None:
                return
        lane[-1].left = ms
        lane[-1].lost = lost
        self._left[address] = None

    def start(self, run: SchedulerRun) -> None:
        """Add the start of a scheduler: lanes of earlier ones may be evicted."""
        for address, lane in self.stays.items():
            if lane[-1].run is not run:
                self._left.setdefault(address)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(self.stays)}/{WORKERS_SHOWN}, "
            f"{self.hidden} not shown>"
        )
