"""Live tasks: what lean tasks hook into, and whether this release still has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import distributed.scheduler
from distributed.collections import HeapSet
from distributed.scheduler import SchedulerState, TaskState, WorkerState

if TYPE_CHECKING:
    from distributed import Scheduler

#: Attributes of a task that we set, all in ``TaskState.__slots__`` (scheduler.py).
_ATTRIBUTES = (
    *("dependencies", "dependents", "waiting_on", "waiters", "who_wants", "who_has"),
    *("priority", "key", "_state", "group", "_hash", "__weakref__"),
)

#: The functions that lean tasks hook into, and their parameters.
_HOOKED: dict[Any, dict[str, tuple[str, ...]]] = {
    TaskState: {"add_dependency": ("other",)},
    WorkerState: {"add_replica": ("ts",), "remove_replica": ("ts",)},
    distributed.scheduler.Scheduler: {
        "new_task": ("key", "spec", "state", "computation"),
        "client_desires_keys": ("keys", "client"),
        "_client_releases_keys": ("keys", "cs", "recommendations"),
        "add_replica": ("ts", "ws"),
        "remove_replica": ("ts", "ws"),
        "_remove_key": ("key",),
        "_transition_released_waiting": ("key", "stimulus_id"),
        "_transition_memory_released": ("key", "stimulus_id"),
    },
}

#: The transitions that lean tasks hook into, of ``SchedulerState._TRANSITIONS_TABLE``.
_TRANSITIONS = {
    ("released", "waiting"): "_transition_released_waiting",
    ("memory", "released"): "_transition_memory_released",
}

#: What ``collections.HeapSet``, the queue, has.
_QUEUE = {
    *("_data", "_heap", "_inc", "_sorted", "_unpickle", "add", "clear", "discard"),
    *("key", "peek", "peekn", "peekright", "pop", "popright", "sorted"),
}


def differences(scheduler: Scheduler) -> Iterator[str]:
    """Yield what differs from what lean tasks hook into."""
    for name in set(_ATTRIBUTES) - set(TaskState.__slots__):
        yield f"TaskState has no {name}"
    for owner, functions in _HOOKED.items():
        for name, parameters in functions.items():
            code = getattr(getattr(owner, name, None), "__code__", None)
            if code is None:
                yield f"{owner.__name__} has no {name}"
                continue
            count = code.co_argcount + code.co_kwonlyargcount
            if code.co_varnames[:count] != ("self", *parameters):
                yield f"{owner.__name__}.{name} has other parameters"
    table: Any = scheduler._TRANSITIONS_TABLE
    for transition, name in _TRANSITIONS.items():
        if table.get(transition) is not getattr(SchedulerState, name, None):
            yield f"the transition from {' to '.join(transition)} is another function"
    has = {
        name for name in vars(HeapSet) if not name.startswith(("__", "_abc", "_is_"))
    }
    for name in has ^ _QUEUE:
        yield f"HeapSet differs in {name}"
    if type(scheduler.queued) is not HeapSet:
        yield f"the queue is a {type(scheduler.queued).__name__}"


def set_transitions(
    scheduler: Scheduler, functions: dict[tuple[str, str], Callable[..., Any]]
) -> None:
    """``SchedulerState._TRANSITIONS_TABLE``: looked up at each transition."""
    table: Any = {**scheduler._TRANSITIONS_TABLE, **functions}
    scheduler._TRANSITIONS_TABLE = table  # type: ignore[misc]
