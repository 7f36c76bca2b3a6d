"""Live tasks: what lean tasks hook into, and whether this release has it as we know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from distributed.collections import HeapSet
from distributed.scheduler import Scheduler, TaskState, WorkerState
from distributed.spans import SpansSchedulerExtension

if TYPE_CHECKING:
    pass

#: Attributes of a task that we set, all in ``TaskState.__slots__`` (scheduler.py).
ATTRIBUTES = (
    *("dependencies", "dependents", "waiting_on", "waiters", "who_wants", "who_has"),
    *("annotations", "priority", "key", "_state", "group", "_hash", "__weakref__"),
)

#: The functions that lean tasks hook into, and their parameters.
HOOKED: dict[Any, dict[str, tuple[str, ...]]] = {
    TaskState: {"add_dependency": ("other",)},
    WorkerState: {"add_replica": ("ts",), "remove_replica": ("ts",)},
    SpansSchedulerExtension: {"observe_tasks": ("tss", "code", "span_metadata")},
    Scheduler: {
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
TRANSITIONS = {
    ("released", "waiting"): "_transition_released_waiting",
    ("memory", "released"): "_transition_memory_released",
}

#: What ``collections.HeapSet``, the queue, has of its own.
QUEUE = {
    *("__contains__", "__init__", "__iter__", "__len__", "__reduce__", "__repr__"),
    *("_data", "_heap", "_inc", "_sorted", "_unpickle", "add", "clear", "discard"),
    *("key", "peek", "peekn", "peekright", "pop", "popright", "sorted"),
}
_CLASS_NAMES = {
    *("__annotations__", "__doc__", "__module__", "__parameters__", "__slots__"),
    *("__orig_bases__", "__abstractmethods__", "_abc_impl", "__firstlineno__"),
    *("__static_attributes__", "__annotate__", "__annotate_func__"),
    *("__annotations_cache__", "__classdictcell__"),
}


def differences(scheduler: Scheduler) -> Iterator[str]:
    """Yield what differs from what lean tasks hook into."""
    for name in set(ATTRIBUTES) - set(TaskState.__slots__):
        yield f"TaskState has no {name}"
    for owner, functions in HOOKED.items():
        for name, parameters in functions.items():
            code = getattr(getattr(owner, name, None), "__code__", None)
            if code is None:
                yield f"{owner.__name__} has no {name}"
                continue
            count = code.co_argcount + code.co_kwonlyargcount
            if code.co_varnames[:count] != ("self", *parameters):
                yield f"{owner.__name__}.{name} has other parameters"
    table = scheduler._TRANSITIONS_TABLE
    for transition, name in TRANSITIONS.items():
        if table.get(transition) is not getattr(type(scheduler), name, None):
            yield f"the transition from {' to '.join(transition)} is another function"
    for name in (set(vars(HeapSet)) - _CLASS_NAMES) ^ QUEUE:
        yield f"HeapSet differs in {name}"
    if type(scheduler.queued) is not HeapSet:
        yield f"the queue is a {type(scheduler.queued).__name__}"


def set_transitions(
    scheduler: Scheduler, functions: dict[tuple[str, str], Callable[..., Any]]
) -> None:
    """``SchedulerState._TRANSITIONS_TABLE``: looked up at each transition."""
    table: Any = {**scheduler._TRANSITIONS_TABLE, **functions}
    scheduler._TRANSITIONS_TABLE = table  # type: ignore[misc]
