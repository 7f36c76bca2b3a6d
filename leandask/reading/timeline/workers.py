"""Lanes: when each worker was there."""

from __future__ import annotations

from leandask.reading.timeline.schedulers import Life

#: Workers that have a lane. A lane takes 0.4 KB as usual and 5 KB at most, an address
#: of 512 characters and 16 stays of 180 bytes, so all take 2.5 MB at most.
WORKERS_SHOWN = 500
#: Stays of a worker's lane: it may come back under the address that it had.
STAYS = 16


class Stay:
    """One stay of a worker with a scheduler.

    Parameters
    ----------
    life : Life
        The scheduler's.
    joined : int or None
        Milliseconds since the epoch; None where that was before the log.
    """

    __slots__ = ("joined", "left", "life", "lost")

    def __init__(self, life: Life, joined: int | None) -> None:
        self.life = life
        self.joined = joined
        #: Milliseconds since the epoch; None while it is there, or until its scheduler
        #: ended.
        self.left: int | None = None
        #: Whether the scheduler did not expect it to leave.
        self.lost = False


class Lanes:
    """The stays of workers, by address.

    Where there are too many, the lane that has been left for longest makes place. If
    all workers are there, a new one has no lane.

    Examples
    --------
    >>> lanes, life = Lanes(), Life("Scheduler-1", 0)
    >>> lanes.join("tcp://127.0.0.1:8000", life, 5)
    >>> lanes.leave("tcp://127.0.0.1:8000", life, 9, lost=True)
    >>> lanes
    <Lanes: 1/500, 0 not shown>
    """

    __slots__ = ("_left", "hidden", "stays", "stays_hidden")

    def __init__(self) -> None:
        self.stays: dict[str, list[Stay]] = {}
        #: Joins that have no lane, or had one that made place.
        self.hidden = 0
        #: Stays that made place in the lane of a worker that came back often.
        self.stays_hidden = 0
        # Addresses whose worker is gone, the one gone for longest first.
        self._left: dict[str, None] = {}

    def join(self, address: str, life: Life, ms: int | None) -> None:
        """A worker joined.

        Parameters
        ----------
        address : str
        life : Life
            Its scheduler's.
        ms : int or None
            Milliseconds since the epoch; None where that was before the log.
        """
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
        lane.append(Stay(life, ms))

    def leave(self, address: str, life: Life, ms: int, lost: bool) -> None:
        """A worker left.

        Parameters
        ----------
        address : str
        life : Life
            Its scheduler's.
        ms : int
            Milliseconds since the epoch.
        lost : bool
            Whether the scheduler did not expect it to.
        """
        lane = self.stays.get(address)
        if lane is None or lane[-1].life is not life or lane[-1].left is not None:
            if self.hidden:  # it may be one of those: who knows when it joined
                return
            self.join(address, life, None)
            lane = self.stays.get(address)
            if lane is None:
                return
        lane[-1].left = ms
        lane[-1].lost = lost
        self._left[address] = None

    def forsake(self, life: Life) -> None:
        """Another scheduler took over: let the lanes of the others make place.

        Parameters
        ----------
        life : Life
            The new one's.
        """
        for address, lane in self.stays.items():
            if lane[-1].life is not life:
                self._left.setdefault(address)

    def __repr__(self) -> str:
        return f"<Lanes: {len(self.stays)}/{WORKERS_SHOWN}, {self.hidden} not shown>"
