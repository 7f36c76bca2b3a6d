"""What work stealing remembers, for no longer than the tasks and workers live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState, WorkerState


class UnknownDurations(dict[str, "WeakSet[TaskState]"]):
    """Tasks that were sent off before the duration of their prefix was known.

    Upstream forgets them when a task of the prefix succeeds. Where none ever does, they
    would stay for ever, with the texts of their errors: about 5 kB each.

    Parameters
    ----------
    items : mapping of str to iterables
    """

    def __init__(self, items: Mapping[str, Iterable[TaskState]]) -> None:
        super().__init__()
        for prefix, tasks in items.items():
            self[prefix] = tasks

    def __setitem__(self, prefix: str, tasks: Iterable[TaskState]) -> None:
        super().__setitem__(prefix, WeakSet(tasks))

    def get(self, prefix: str, default: Any = None) -> Any:
        """Return the tasks of a prefix, made here where upstream would make them."""
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
    """What the requests in flight will change of each worker; 0 unless it is here.

    Upstream's default dict takes in each worker that is looked up, and keeps what has
    left: about 13 kB each.

    Parameters
    ----------
    items : mapping
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
    """Have work stealing, where it is on, hold nothing that is gone."""
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
