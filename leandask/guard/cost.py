"""What a message, and the tasks of a graph, will take: estimated, and learned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes

if TYPE_CHECKING:
    from leandask.guard.guard import Guard

#: Bytes of RSS that the states of a task and of one of its dependencies take at first.
#: Measured: see docs/memory.md.
TASK_BYTES, DEPENDENCY_BYTES = 800, 130
#: Bytes per task of the tables by which the order of tasks is found. They are gone when
#: the states are made.
ORDER_BYTES = 650
#: Bytes of objects for a byte of a message's body, which has the keys. One of 42
#: characters is 44 bytes there, and takes 160 with its places in a list and a set.
UNPACKED = 3.5
#: How much a graph counts for what the next one is expected to take, and the least and
#: most that a graph can have taken, as a part of what was expected at first.
NEWEST, LEAST, MOST = 0.5, 0.5, 2.0
#: Tasks whose dependencies are counted.
SAMPLE = 1000


class TaskCost:
    """Estimates what the states of tasks take, and learns from each large graph."""

    #: Tasks from which the RSS is measured before and after their states are made.
    MEASURED = 20_000

    def __init__(self) -> None:
        #: What tasks took, as a part of what was expected at first.
        self._learned = 1.0

    def __repr__(self) -> str:
        each = format_bytes(int(TASK_BYTES * self._learned))
        return f"<{type(self).__name__}: {each} for a task without dependencies>"

    def expect(self, tasks: dict[Any, Any], dependencies: Any = None) -> float:
        """Return the bytes that tasks will take.

        `dependencies` are those of all tasks, by key, where the tasks do not say.
        """
        of: Iterable[Any]
        if dependencies is None:
            of = (task.dependencies for task in tasks.values())
        else:
            of = dependencies.values()
        step = max(len(tasks) // SAMPLE, 1)
        counts = [len(each) for each in islice(of, 0, None, step)]
        mean = sum(counts) / max(len(counts), 1)
        return len(tasks) * (TASK_BYTES + mean * DEPENDENCY_BYTES) * self._learned

    def while_ordered(self, n_tasks: int, nbytes: float) -> float:
        """Return the most that tasks take from when their order is looked for."""
        return max(nbytes, n_tasks * ORDER_BYTES)

    @contextmanager
    def learning(self, n_tasks: int, expected: float, guard: Guard) -> Iterator[None]:
        """While the states of tasks are made: learn what they take."""
        is_measured = n_tasks >= self.MEASURED
        before = guard.measure() if is_measured else 0
        yield
        if is_measured:
            part = (guard.measure() - before) / expected * self._learned
            part = min(max(part, LEAST), MOST)
            self._learned += NEWEST * (part - self._learned)
        else:
            guard.take(expected)


class MessageCost:
    """Estimates what a message takes once it is unpacked."""

    def __init__(self) -> None:
        self._factor = UNPACKED

    def expect(self, body: int) -> float:
        """Return the bytes that so many bytes of a message's body will take."""
        return body * self._factor
