"""Specs: what tasks run, with one object for what is equal in the tasks of a graph.

A graph arrives with each key several times over, and with an empty dict and the same
few options for each task. The functions below, one for each kind of node, let a node
have the object that the others have: it stays equal to what it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from leandask import _compat
from leandask.tasks.keys import Keys

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

logger = logging.getLogger("leandask")

#: More keys than this stay a frozenset, which finds one of them at once.
FEW = 32

#: Options, and inner graphs, of a graph that are looked for again.
MEMORY = 1000


class Sharing:
    """What the nodes of one graph have in common. It goes once they are through."""

    __slots__ = ("dependencies", "graphs", "keys", "kwargs", "names", "no_kwargs")

    def __init__(self) -> None:
        #: The keys of the tasks that the task at hand depends on, by themselves.
        self.names: dict[Any, Any] = {}
        #: The last dependencies and what they became: those of a task's parts are
        #: often the task's own.
        self.dependencies: frozenset[Any] = _compat.NO_KEYS
        self.keys = Keys()
        #: The kwargs of tasks, by their names and the identities of their values. They
        #: stay alive in a task meanwhile.
        self.kwargs: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.no_kwargs: dict[str, Any] = {}
        #: The inner graphs that are through, by identity: fused tasks share them.
        self.graphs: set[int] = set()


def install(scheduler: Scheduler) -> None:
    """Share the specs of each graph that comes in, where the release has known ones."""
    if _compat.SPEC_KINDS:
        _compat.watch_new_tasks(scheduler, share)


def share(tasks: Iterable[TaskState]) -> None:
    """Share what the specs of new tasks have in common."""
    try:
        sharing = Sharing()
        for ts in tasks:
            spec: Any = ts.run_spec
            node = _NODES.get(type(spec))
            if node is not None and spec.key == ts.key:
                spec.key = ts.key
                if ts.dependencies:
                    sharing.names = {dts.key: dts.key for dts in ts.dependencies}
                node(spec, sharing)
    except Exception:
        logger.exception("Equal parts of tasks are not shared")


def _share_ref(ref: Any, sharing: Sharing) -> None:
    ref.key = sharing.names.get(ref.key, ref.key)


def _share_alias(alias: Any, sharing: Sharing) -> None:
    target = sharing.names.get(alias.target, alias.target)
    if alias.key == target:
        alias.key = target
    alias.target = target
    _share_dependencies(alias, sharing)


def _share_dependencies(node: Any, sharing: Sharing) -> None:
    keys = node._dependencies
    if type(keys) is not frozenset:
        return
    if not keys:
        node._dependencies = _compat.NO_KEYS
    elif len(keys) <= FEW:
        if keys != sharing.dependencies:
            names = sharing.names
            sharing.dependencies = keys
            sharing.keys = Keys([names.get(key, key) for key in keys])
        node._dependencies = sharing.keys


def _share_task(task: Any, sharing: Sharing) -> None:
    _share_dependencies(task, sharing)
    if not task.kwargs:
        task.kwargs = sharing.no_kwargs
    else:
        _share_kwargs(task, sharing)
    for value in task.args:
        node = _INNER.get(type(value))
        if node is not None:
            node(value, sharing)


def _share_kwargs(task: Any, sharing: Sharing) -> None:
    kwargs = task.kwargs
    nodes = [value for value in kwargs.values() if type(value) in _INNER]
    for value in nodes:
        _INNER[type(value)](value, sharing)
    if not nodes:  # those of another task are other ones
        same = (*kwargs, *map(id, kwargs.values()))
        if same in sharing.kwargs:
            task.kwargs = sharing.kwargs[same]
        elif len(sharing.kwargs) < MEMORY:
            sharing.kwargs[same] = kwargs


def _share_graph(graph: dict[Any, Any], sharing: Sharing) -> None:
    """Share what is in the graph of a fused task."""
    first = next(iter(graph.values()), None)
    if type(first) not in _NODES or id(graph) in sharing.graphs:
        return
    if len(sharing.graphs) < MEMORY:
        sharing.graphs.add(id(graph))
    for spec in graph.values():
        node = _NODES.get(type(spec))
        if node is not None:
            node(spec, sharing)


_KINDS: dict[str, Callable[[Any, Sharing], None]] = {
    "Alias": _share_alias,
    "DataNode": _share_dependencies,
    **dict.fromkeys(("Task", "List", "Tuple", "Set", "Dict"), _share_task),
}
#: What shares the parts of a node, by its class. Subclasses are left alone.
_NODES = {
    kind: _KINDS[name] for name, kind in _compat.SPEC_KINDS.items() if name in _KINDS
}
#: The same for what the arguments of a task may be besides.
_INNER: dict[type, Callable[[Any, Sharing], None]] = {**_NODES, dict: _share_graph}
if "TaskRef" in _compat.SPEC_KINDS:
    _INNER[_compat.SPEC_KINDS["TaskRef"]] = _share_ref
