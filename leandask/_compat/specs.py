"""Specs: what a task runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

try:
    from dask import _task_spec
except ImportError:  # before 2024.9 a spec is a tuple or bytes
    _task_spec = None  # type: ignore[assignment]

_NODE = {"key", "_dependencies"}
_TASK = {*_NODE, "args", "kwargs"}
#: What is used of each kind of node (dask/_task_spec.py).
_SLOTS = {
    "TaskRef": {"key"},
    "Alias": {*_NODE, "target"},
    "DataNode": _NODE,
    **dict.fromkeys(("Task", "List", "Tuple", "Set", "Dict"), _TASK),
}


def _has_slots(kind: type | None, names: set[str]) -> bool:
    slots = {slot for base in getattr(kind, "__mro__", ()) for slot in _slots_of(base)}
    return names <= slots


def _slots_of(kind: type) -> tuple[str, ...]:
    return tuple(vars(kind).get("__slots__", ()))


#: The classes of nodes, by name, that have the slots that are known.
SPEC_KINDS: dict[str, type] = {
    name: getattr(_task_spec, name)
    for name, slots in _SLOTS.items()
    if _has_slots(getattr(_task_spec, name, None), slots)
}
#: ``_no_deps`` (dask/_task_spec.py): the dependencies of a node that has none.
NO_KEYS: frozenset[Any] = getattr(_task_spec, "_no_deps", frozenset())


def watch_new_tasks(
    scheduler: Scheduler, act: Callable[[list[TaskState]], None]
) -> None:
    """``Scheduler._generate_taskstates`` (scheduler.py): makes the tasks of a graph.

    It returns lists; the new tasks are the last but one. Their dependencies are known.
    """
    generate = scheduler._generate_taskstates

    def generate_and_act(*args: Any, **kwargs: Any) -> Any:
        made = generate(*args, **kwargs)
        act(made[-2])
        return made

    scheduler._generate_taskstates = generate_and_act  # type: ignore[method-assign]
