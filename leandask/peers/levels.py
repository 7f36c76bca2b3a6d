"""What work stealing may take from each worker: sets of tasks, by their level."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distributed.utils import recursive_to_dict

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState


class Levels(Sequence[Any]):
    """The sets of a worker, each of which is made when it is asked for.

    Upstream has a tuple of 15 sets for each worker, which take 3.4 kB even if they are
    all empty.

    Parameters
    ----------
    count : int
        Number of levels.
    """

    __slots__ = ("_count", "_sets")

    _sets: dict[int, set[TaskState]]

    def __init__(self, count: int) -> None:
        self._count = count
        self._sets = {}

    def __repr__(self) -> str:
        tasks = sum(map(len, self._sets.values()))
        return f"<{type(self).__name__}: {tasks} tasks in {self._count} levels>"

    def __reduce__(self) -> Any:
        return tuple, (self._as_sets(),)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, level: Any) -> Any:
        tasks = self._sets.get(level) if type(level) is int else None
        if tasks is None:
            if isinstance(level, slice):
                return tuple(self[each] for each in range(self._count)[level])
            # From the end, or out of range.
            tasks = self._sets.setdefault(range(self._count)[level], set())
        return tasks

    def forget_empty(self) -> None:
        """Remove the sets that are empty."""
        for level in [level for level, tasks in self._sets.items() if not tasks]:
            del self._sets[level]

    def _as_sets(self) -> list[set[TaskState]]:
        return [self._sets.get(level, set()) for level in range(self._count)]

    def _to_dict(self, *, exclude: Container[str] = ()) -> Any:
        """What a cluster dump shows."""
        return recursive_to_dict(self._as_sets(), exclude=exclude)


class Stealable(dict[str, Any]):
    """The levels of each worker, by its address."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        super().__init__()
        for address, levels in items.items():
            self[address] = levels

    def __setitem__(self, address: str, levels: Any) -> None:
        if type(levels) is tuple and all(tasks == set() for tasks in levels):
            levels = Levels(len(levels))
        super().__setitem__(address, levels)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def install(scheduler: Scheduler) -> None:
    """Have the sets of work stealing made when they are asked for."""
    stealing = scheduler.extensions.get("stealing")
    if stealing is not None:
        stealing.stealable = Stealable(stealing.stealable)


def forget_empty(scheduler: Scheduler) -> None:
    """Remove the sets that were made and are empty again."""
    stealing = scheduler.extensions.get("stealing")
    for levels in stealing.stealable.values() if stealing is not None else ():
        if isinstance(levels, Levels):
            levels.forget_empty()
