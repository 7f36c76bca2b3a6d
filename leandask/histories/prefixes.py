"""Task prefixes, and what workers measured of them: the most recently used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.lru import LRU
from leandask.histories.names import LONGEST, Limit, cut, weigh
from leandask.settings.budget import COSTS

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskPrefix

#: Approximate number of activities that a worker measures per prefix.
METRICS_PER_PREFIX = 8
#: Bytes of the sum of an activity, with its words.
METRIC_BYTES = 194
#: Words in the keys of metrics that are shared, 150 bytes each: activities and units
#: are few, and the metrics of a prefix arrive together.
SHARED = 256
#: Sums kept that belong to no prefix. Upstream has about 50; others come from names
#: that a program makes up, without a bound.
MAX_ACTIVITIES = 1000
#: Types of data whose bandwidth is kept, for a page that shows each as a bar, and what
#: they may take with their names. One takes 300 bytes.
TYPES = 200
TYPES_LIMIT = Limit(2 * TYPES * 300, each=300)
#: Names of the sums of evicted prefixes and activities.
OTHER_PREFIXES, OTHER_ACTIVITIES = "other prefixes", "other activities"


class TaskPrefixes(LRU[str, "TaskPrefix"]):
    """Task prefixes by name, the least recently used first.

    A prefix with tasks stays. One that was evicted and is used again starts as a new
    one: the durations of its tasks have to be learned again.

    Parameters
    ----------
    scheduler : Scheduler
        Its current prefixes move over.
    maxlen : int or None
        Prefixes kept; None is unbounded.
    limit : Limit or None, optional
        Bytes kept.
    """

    def __init__(
        self, scheduler: Scheduler, maxlen: int | None, limit: Limit | None = None
    ) -> None:
        self._running = _compat.get_running_prefixes(scheduler)
        super().__init__(scheduler.task_prefixes.items(), maxlen, limit)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a prefix, and mark it as used: upstream asks when it gets a group."""
        prefix = super().get(name, default)
        if prefix is not default:
            self.move_to_end(name)
        return prefix

    def is_idle(self, key: str, value: TaskPrefix) -> bool:
        """Whether a prefix has no tasks."""
        return not value.groups and key not in self._running

    def evict(self, key: str, value: TaskPrefix) -> None:
        """Remove a prefix. Finished groups of tasks still refer to it."""
        super().evict(key, value)
        value.name = cut(key)


class WorkerMetrics(LRU[Hashable, float]):
    """Sums of what workers measured, by activity.

    The sums of the least recently measured prefixes become one, so that totals stay.
    Then those of the activities that tasks name themselves do. So do all that have very
    long names.

    Parameters
    ----------
    items : mapping
    prefixes : int or None
        Prefixes with sums of their own; None is unbounded.
    """

    def __init__(self, items: Mapping[Any, float], prefixes: int | None) -> None:
        most = _most(prefixes)
        super().__init__(items.items(), most, _limit(most))

    def resize(self, maxlen: int | None, limit: Limit | None = None) -> None:
        """Set another number of prefixes with sums of their own."""
        most = _most(maxlen)
        super().resize(most, _limit(most))

    def __missing__(self, key: Hashable) -> float:
        return 0

    def __setitem__(self, key: Hashable, value: float) -> None:
        if key not in self:
            if weigh(key) > LONGEST:
                key = _others(key)
                value += self[key]
            elif _is_of_prefix(key):
                # Each key arrives with its own copies of the words, 64 bytes each.
                key = tuple(map(_share, cast("tuple[Hashable, ...]", key)))
        super().__setitem__(key, value)

    def is_idle(self, key: Hashable, value: float) -> bool:
        """Whether it belongs to a prefix, or is one of too many that do not."""
        if _is_of_prefix(key):
            return True
        if key == OTHER_ACTIVITIES:
            return False
        return len(self) > cast(int, self.maxlen) + MAX_ACTIVITIES or weigh(key) > 0

    def evict(self, key: Hashable, value: float) -> None:
        """Add a sum to the sum of the evicted ones."""
        # Its current value: other sums may have been added to it since the check.
        total = self.pop(key)
        others = _others(key)
        if others not in self:
            self.weight += self.weigh(others)
        # Without the check of the bound, which would evict another one recursively.
        OrderedDict.__setitem__(self, others, self.get(others, 0) + total)
        self.move_to_end(others)


def install(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Bound the task prefixes, the sums of what workers measured, and bandwidths."""
    scheduler.task_prefixes = TaskPrefixes(scheduler, maxlen, limit)
    metrics: Any = WorkerMetrics(scheduler.cumulative_worker_metrics, maxlen)
    scheduler.cumulative_worker_metrics = metrics
    types: Any = LRU(scheduler.bandwidth_types.items(), TYPES, TYPES_LIMIT)
    scheduler.bandwidth_types = types


def resize(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Set other bounds for the prefixes and what workers measured of them."""
    prefixes: Any = scheduler.task_prefixes
    metrics: Any = scheduler.cumulative_worker_metrics
    prefixes.resize(maxlen, limit)
    metrics.resize(maxlen)


def forget(scheduler: Scheduler) -> None:
    """Evict prefixes beyond the bounds whose tasks are gone."""
    prefixes: Any = scheduler.task_prefixes
    prefixes.evict_surplus()


def look(scheduler: Scheduler) -> Held:
    """Count the prefixes."""
    prefixes: Any = scheduler.task_prefixes
    metrics: Any = scheduler.cumulative_worker_metrics
    weight = prefixes.weight + metrics.weight
    return Held(len(prefixes), prefixes.seen, weight=weight)


def _share(word: Hashable) -> Hashable:
    """Return the first word that was equal to this one, unless it is long."""
    return word if weigh(word) else _first_equal(word)


@lru_cache(maxsize=SHARED, typed=True)
def _first_equal(word: Hashable) -> Hashable:
    return word


def _most(prefixes: int | None) -> int | None:
    return None if prefixes is None else (prefixes + 1) * METRICS_PER_PREFIX


def _limit(most: int | None) -> Limit | None:
    """Long names may take a tenth of what the prefixes themselves take."""
    if most is None:
        return None
    return Limit(most * COSTS["task-prefixes"].nbytes // METRICS_PER_PREFIX // 10, 0)


def _is_of_task(key: Hashable) -> bool:
    """Whether it is ``("execute", prefix, *activity, unit)``."""
    return isinstance(key, tuple) and len(key) >= 4 and key[0] == "execute"


def _is_of_prefix(key: Hashable) -> bool:
    return _is_of_task(key) and key[1] != OTHER_PREFIXES  # type: ignore[index]


def _others(key: Hashable) -> Hashable:
    """Return the key of the sum that an evicted sum is added to.

    Examples
    --------
    >>> _others(("execute", "inc", "thread-cpu", "seconds"))
    ('execute', 'other prefixes', 'thread-cpu', 'seconds')
    >>> _others(("execute", "other prefixes", "part-1", "seconds"))
    ('execute', 'other prefixes', 'other activities', 'seconds')
    >>> _others("a name that a program made up")
    'other activities'
    """
    if _is_of_task(key):
        kind, prefix, *activity, unit = cast("tuple[Hashable, ...]", key)
        if weigh(unit):
            return OTHER_ACTIVITIES
        if prefix != OTHER_PREFIXES and len(activity) == 1 and not weigh(activity[0]):
            return kind, OTHER_PREFIXES, activity[0], unit
        if activity != [OTHER_ACTIVITIES]:
            return kind, OTHER_PREFIXES, OTHER_ACTIVITIES, unit
    return OTHER_ACTIVITIES
