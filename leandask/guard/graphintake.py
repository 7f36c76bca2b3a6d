"""GraphIntake: one graph that comes in, which may be refused at several steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from leandask.guard.cost import LARGE
from leandask.guard.interruption import Interrupted, Interruption

if TYPE_CHECKING:
    from leandask.guard.cost import TaskCost
    from leandask.guard.guard import Guard


#: Tasks from which a graph leaves much.
MANY = 1000


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
    #: Bytes of room when it came, or when its tasks did not fit.
    room: float
    #: Whether it was unpickled, at least in part.
    was_read: bool

    def __init__(self, n_tasks: int, guard: Guard, cost: TaskCost) -> None:
        self._guard = guard
        self._cost = cost
        self._interruption = Interruption()
        self.n_tasks = n_tasks
        self.nbytes = 0.0
        self.room = guard.room
        self.was_read = self.is_counted = False

    @property
    def has_left_much(self) -> bool:
        """Whether a graph that was refused has left what is worth a collection."""
        return self.was_read and not (self.is_counted and self.n_tasks < MANY)

    def check_room(self) -> None:
        """Refuse the graph if there is no room left. It takes 30 µs."""
        self._guard.measure()
        if self._guard.room <= 0:
            raise Refused

    def check_tasks(self, tasks: dict[Any, Any], dependencies: Any = None) -> float:
        """Refuse the graph if its tasks do not fit; return the bytes they will take."""
        nbytes = self._cost.expect(tasks, dependencies)
        room = self._guard.room
        if len(tasks) >= LARGE:
            rss = self._guard.measure()
            room = self._guard.room + self._cost.free(rss)
        self.n_tasks, self.is_counted, self.nbytes = len(tasks), True, nbytes
        if nbytes > room:
            self.room = room
            raise Refused
        return nbytes

    def run(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do a step of reading the graph, in a thread."""
        self.was_read = True
        self._interruption = Interruption()
        with suppress(Interrupted):
            return self._interruption.run(lambda: step(*args, **kwargs))
        raise Refused

    def interrupt_if_full(self) -> None:
        """Refuse the graph if a step runs now, and there is no room left."""
        self._guard.measure()
        if self._guard.room <= 0:
            self._interruption.interrupt()
