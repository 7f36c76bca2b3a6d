"""TaskPrefixes: what a scheduler learnt of functions, for those used last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from leandask import _compat
from leandask.histories.lru import Recent

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskPrefix

#: What a worker measures per prefix: kinds of activity, about.
METRICS_PER_PREFIX = 8
#: Words of what workers measure that are known again, 150 bytes each: activities and
#: units are few, and the metrics of a prefix come together.
SHARED = 256
#: Sums that are of no prefix: upstream's are about 50. More than these were named by a
#: program, without a bound.
OTHER_ACTIVITIES = 1000
#: Stand for the prefixes and activities that went.
OTHER_PREFIXES, OTHERS = "other prefixes", "other activities"


class TaskPrefixes(Recent[str, "TaskPrefix"]):
    """Task prefixes by name, the longest unused first.

    A prefix with tasks stays. One that went and comes again starts as a new one: the
    durations of its tasks are learnt anew.

    Parameters
    ----------
    scheduler : Scheduler
        Its present prefixes move over.
    maxlen : int or None
        Prefixes kept; None is unbounded.
    """

    def __init__(self, scheduler: Scheduler, maxlen: int | None) -> None:
        self._running = _compat.get_running_prefixes(scheduler)
        super().__init__(scheduler.task_prefixes.items(), maxlen)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a prefix, which is asked for when it gets a new group of tasks."""
        prefix = super().get(name, default)
        if prefix is not default:
            self.move_to_end(name)
        return prefix

    def is_idle(self, key: str, value: TaskPrefix) -> bool:
        """Whether a prefix has no tasks."""
        return not value.groups and key not in self._running


class WorkerMetrics(Recent[Hashable, float]):
    """Sums of what workers measured, by activity.

    Those of the prefixes that were measured the longest time ago become one, so that
    totals stay; then those of the activities that tasks name themselves.

    Parameters
    ----------
    items : mapping
    prefixes : int or None
        Prefixes told apart; None is unbounded.
    """

    def __init__(self, items: Mapping[Any, float], prefixes: int | None) -> None:
        super().__init__(items.items(), _most(prefixes))

    def resize(self, maxlen: int | None) -> None:
        """Set another number of prefixes to be told apart."""
        super().resize(_most(maxlen))

    def __missing__(self, key: Hashable) -> float:
        return 0

    def __setitem__(self, key: Hashable, value: float) -> None:
        if key not in self and _is_of_prefix(key):
            # Each key came with words of its own, 64 bytes each.
            key = tuple(map(_share, cast("tuple[Hashable, ...]", key)))
        super().__setitem__(key, value)

    def is_idle(self, key: Hashable, value: float) -> bool:
        """Whether it is of one prefix, or one of too many that are of none."""
        if _is_of_prefix(key):
            return True
        return len(self) > cast(int, self.maxlen) + OTHER_ACTIVITIES and key != OTHERS

    def evict(self, key: Hashable, value: float) -> None:
        """Add to what stands for the others."""
        # What it is by now: others may have been added since it was looked at.
        total = self.pop(key)
        others = _others(key)
        # Not by way of the bound: it would evict the next one, and that the next.
        OrderedDict.__setitem__(self, others, self.get(others, 0) + total)
        self.move_to_end(others)


@lru_cache(maxsize=SHARED, typed=True)
def _share(word: Hashable) -> Hashable:
    """Return the word that is equal and came first."""
    return word


def _most(prefixes: int | None) -> int | None:
    return None if prefixes is None else (prefixes + 1) * METRICS_PER_PREFIX


def _is_of_task(key: Hashable) -> bool:
    """Whether it is ``("execute", prefix, *activity, unit)``."""
    return isinstance(key, tuple) and len(key) >= 4 and key[0] == "execute"


def _is_of_prefix(key: Hashable) -> bool:
    return _is_of_task(key) and key[1] != OTHER_PREFIXES  # type: ignore[index]


def _others(key: Hashable) -> Hashable:
    """What stands for a key and its like: of any prefix, any activity, or anything.

    Examples
    --------
    >>> _others(("execute", "inc", "thread-cpu", "seconds"))
    ('execute', 'other prefixes', 'thread-cpu', 'seconds')
    >>> _others(("execute", "other prefixes", "part-1", "seconds"))
    ('execute', 'other prefixes', 'other activities', 'seconds')
    >>> _others("a name of one's own")
    'other activities'
    """
    if _is_of_task(key):
        kind, prefix, *activity, unit = cast("tuple[Hashable, ...]", key)
        if prefix != OTHER_PREFIXES and len(activity) == 1:
            return kind, OTHER_PREFIXES, activity[0], unit
        if activity != [OTHERS]:
            return kind, OTHER_PREFIXES, OTHERS, unit
    return OTHERS
