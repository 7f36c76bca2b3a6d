"""Stealing: has work stealing keep tasks and workers only as long as they live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState, WorkerState


class UnknownDurations(dict[str, "WeakSet[TaskState]"]):
    """Tasks, by prefix, that were sent to workers before their duration was known.

    Upstream forgets them when a task of the prefix succeeds. If none ever does, they
    would stay forever, with the texts of their errors: about 5 kB each.
    """

    def __init__(self, items: Mapping[str, Iterable[TaskState]]) -> None:
        super().__init__()
        for prefix, tasks in items.items():
            self[prefix] = tasks

    def __setitem__(self, prefix: str, tasks: Iterable[TaskState]) -> None:
        super().__setitem__(prefix, WeakSet(tasks))

    def get(self, prefix: str, default: Any = None) -> Any:
        """Return the tasks of a prefix; make their set if there is none."""
        # Before 2025.2 upstream adds tasks to the set that this returns. If it gets
        # None, it stores a set of its own and adds to that: we keep a copy of the set,
        # as a WeakSet, so its tasks would be lost. `forget_empty` removes sets that
        # stay empty.
        if prefix not in self:
            self[prefix] = ()
        return self[prefix]

    def __reduce__(self) -> Any:
        return dict, ({prefix: set(tasks) for prefix, tasks in self.items()},)

    def forget_empty(self) -> None:
        """Remove the prefixes whose tasks are gone."""
        for prefix in [prefix for prefix, tasks in self.items() if not tasks]:
            del self[prefix]


class InFlight(dict["WorkerState", float]):
    """What the requests in flight will change of each worker; zeros are not stored.

    Upstream's defaultdict stores each worker that is looked up, and keeps those that
    have left: about 13 kB each.
    """

    def __init__(self, items: Mapping[WorkerState, float]) -> None:
        super().__init__()
        for worker, value in items.items():
            self[worker] = value

    def __missing__(self, worker: WorkerState) -> float:
        return 0

    def __setitem__(self, worker: WorkerState, value: float) -> None:
        if value:
            super().__setitem__(worker, value)
        else:
            self.pop(worker, None)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def forget_gone(self, scheduler: Scheduler) -> None:
        """Remove the workers that have left."""
        for ws in [ws for ws in self if scheduler.workers.get(ws.address) is not ws]:
            del self[ws]


def install(scheduler: Scheduler) -> None:
    """Install mappings that forget what is gone, if work stealing is on."""
    owner = _compat.get_owner_of_unknown_durations(scheduler)
    if owner is not None:
        owner.unknown_durations = UnknownDurations(owner.unknown_durations)
    stealing = scheduler.extensions.get("stealing")
    if stealing is not None:
        for name in ("in_flight_occupancy", "in_flight_tasks"):
            setattr(stealing, name, InFlight(getattr(stealing, name)))


def forget_gone(scheduler: Scheduler) -> None:
    """Remove what is left of tasks and workers that are gone."""
    owner = _compat.get_owner_of_unknown_durations(scheduler)
    if owner is not None:
        owner.unknown_durations.forget_empty()
    stealing = scheduler.extensions.get("stealing")
    if stealing is not None:
        stealing.in_flight_occupancy.forget_gone(scheduler)
        stealing.in_flight_tasks.forget_gone(scheduler)
