"""GraphIntake: one graph that comes in, which may be refused at several steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes

from leandask.guard.cost import LARGE
from leandask.guard.interruption import Interrupted, Interruption

if TYPE_CHECKING:
    from leandask.guard.cost import TaskCost
    from leandask.guard.guard import Guard

#: Tasks from which a graph leaves much.
MANY = 1000
#: Bytes by which the RSS grows in a step of a graph that fills the memory itself.
OWN = 2**23
#: Seconds between two looks at the RSS while a graph is read.
WATCH_SECONDS = 0.02


class Refused(BaseException):
    """A graph does not fit. No ``except Exception`` of upstream's keeps it."""


class GraphIntake:
    """One graph that comes in.

    Parameters
    ----------
    n_tasks : int
        Tasks of the graph, as far as they are known: those that the client wants.
    guard : Guard
    cost : TaskCost
    """

    #: Tasks of the graph, whether that are all, and the bytes that they would take.
    n_tasks: int
    is_counted: bool
    nbytes: float
    #: Bytes of room when it came, or when its tasks did not fit; the limit at that time
    #: in bytes, and the part of it below which the room was.
    room: float
    limit: float
    refuse: float
    #: Whether it was unpickled, at least in part.
    was_read: bool
    #: Whether it was refused for what it takes itself, whatever others take.
    is_large: bool
    #: Whether no other graph was read at the same time.
    is_alone: bool

    def __init__(self, n_tasks: int, guard: Guard, cost: TaskCost) -> None:
        self._guard = guard
        self._cost = cost
        self._interruption = Interruption()
        self.n_tasks = n_tasks
        self.nbytes = 0.0
        self._note_room(guard.room)
        self.was_read = self.is_counted = self.is_large = False
        self.is_alone = True
        #: RSS at the begin of the step that runs.
        self._begun_at = 0

    def _note_room(self, room: float) -> None:
        # The limit may be another one, or none, once the graph is answered.
        guard = self._guard
        self.room, self.limit, self.refuse = room, guard.limit_bytes, guard.refuse

    @property
    def is_victim(self) -> bool:
        """Whether a graph that was refused may fit once others leave the memory."""
        return not (self.is_large or self.is_alone)

    @property
    def has_left_much(self) -> bool:
        """Whether a graph that was refused has left what is worth a collection."""
        return self.was_read and not (self.is_counted and self.n_tasks < MANY)

    def describe(self) -> str:
        """Say how large the graph is, as far as it is known."""
        number = f"{self.n_tasks:,} {'task' if self.n_tasks == 1 else 'tasks'}"
        if self.is_counted:
            return f"{number}, about {format_bytes(int(self.nbytes))}"
        return f"{number} or more"

    def describe_room(self) -> str:
        """Say how much room there was, and below what."""
        return (
            f"{format_bytes(max(int(self.room), 0))} below {self.refuse:.0%} of its "
            f"limit of {format_bytes(int(self.limit))}"
        )

    def check_room(self) -> None:
        """Refuse the graph if there is no room left. It takes 30 µs."""
        self._guard.measure()
        if self._guard.room <= 0:
            raise Refused

    def check_tasks(self, tasks: dict[Any, Any], dependencies: Any = None) -> float:
        """Refuse the graph if its tasks do not fit; return the bytes they will take."""
        nbytes = self._cost.expect(tasks, dependencies)
        room = self._guard.room
        is_large = len(tasks) >= LARGE
        if is_large or nbytes > room:  # what others took may be free by now
            rss = self._guard.measure()
            room = self._guard.room + (self._cost.free(rss) if is_large else 0)
        self.n_tasks, self.is_counted, self.nbytes = len(tasks), True, nbytes
        if nbytes > room:
            self._note_room(room)
            self.is_large = is_large
            raise Refused
        return nbytes

    def run(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do a step of reading the graph, in a thread."""
        self.was_read = True
        self._interruption = Interruption()
        self._begun_at = self._guard.measure()
        with suppress(Interrupted):
            return self._interruption.run(lambda: step(*args, **kwargs))
        raise Refused

    async def watch(self) -> None:
        """Refuse the graph once a step runs and there is no room left."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            rss = self._guard.measure()
            if self._guard.room <= 0 and self._interruption.interrupt():
                self.is_large = rss - self._begun_at > OWN


class IncomingGraphs:
    """The graphs that are read now, or were refused and have not left the memory yet.

    What they take is free soon. So a graph that comes in meanwhile waits, and is judged
    by what is left then.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._graphs: set[GraphIntake] = set()

    def add(self, graph: GraphIntake) -> None:
        """Note that a graph is read."""
        graph.is_alone = not self._graphs
        for other in self._graphs:
            other.is_alone = False
        self._graphs.add(graph)

    def remove(self, graph: GraphIntake) -> None:
        """Note that a graph is in memory as tasks, or not at all."""
        self._graphs.remove(graph)

    async def wait_for_room(self, nbytes: float) -> bool:
        """Wait until there is room, or all that are read now have ended.

        Return whether there is room.
        """
        self._guard.measure()
        before = self._graphs.copy()
        while self._guard.room <= nbytes and not before.isdisjoint(self._graphs):
            await asyncio.sleep(WATCH_SECONDS)
            self._guard.measure()
        return self._guard.room > nbytes
