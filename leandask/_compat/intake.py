"""The steps in which the scheduler takes in a graph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import dask.order
import distributed.scheduler
from distributed.protocol.serialize import Serialized, register_serialization_family
from distributed.utils import nbytes, offload

if TYPE_CHECKING:
    from distributed import Scheduler


def get_task_maker(scheduler: Scheduler) -> Callable[..., Any]:
    """``Scheduler._create_taskstate_from_graph`` (scheduler.py): the step at once.

    It makes the states of all tasks in the argument ``dsk``.
    """
    return scheduler._create_taskstate_from_graph


def set_task_maker(scheduler: Scheduler, function: Callable[..., Any]) -> None:
    """``Scheduler._create_taskstate_from_graph``: looked up at each graph."""
    scheduler._create_taskstate_from_graph = function  # type: ignore[method-assign]


def move_frames(message: dict[str, Any]) -> None:
    """``expr_ser``, a graph that is not unpickled: have only `message` hold its frames.

    ``Server.handle_stream`` (core.py) holds the objects that it has received until the
    next message comes, which is after the graph is taken in. Old releases get the
    frames in a tuple, which can't be emptied.
    """
    value = message.get("expr_ser")
    if isinstance(value, Serialized):
        message["expr_ser"] = Serialized(value.header, value.frames)
        value.frames = []


def count_graph_bytes(message: dict[str, Any]) -> int:
    """``expr_ser``, or ``graph_frames`` in old releases: bytes of a pickled graph."""
    frames = getattr(message.get("expr_ser"), "frames", None)
    return sum(map(nbytes, frames or message.get("graph_frames") or ()))


def copy_graph(message: dict[str, Any]) -> dict[str, Any]:
    """``expr_ser``: copy a message, which :func:`move_frames` then leaves alone."""
    copied = message.copy()
    value = message.get("expr_ser")
    if isinstance(value, Serialized):
        copied["expr_ser"] = Serialized(value.header, [*value.frames])
    return copied


def run_after_reading(function: Callable[[], None]) -> Awaitable[None]:
    """``utils.offload``: one thread reads a graph, then finds the order of its tasks.

    What is called right after ``Scheduler.update_graph`` has begun runs between the
    two: the order is asked for only when the event loop has got the graph.
    """
    return offload(function)


#: The functions by which upstream reads a graph, looked up at each graph.
STEPS: tuple[tuple[Any, str], ...] = (
    (distributed.scheduler, "_materialize_graph"),
    (dask.order, "order"),
)
#: The name of our family of serialization, for graphs.
_GRAPH = "leandask-graph"
#: The attribute by which our functions around these are known. Others set
#: ``__wrapped__``, too.
_STEP = "_leandask_step"


def go_around_reading(
    run: Callable[..., Any], unpickle: Callable[[Any, Any], Any]
) -> None:
    """``scheduler._materialize_graph`` (scheduler.py), and ``dask.order.order``.

    The first makes the tasks of a graph, the second finds their order. A thread calls
    them, in the context of the graph. From now on `run` gets each of them as its first
    argument, in all of this process, and `unpickle` reads the graphs that are marked.
    """
    register_serialization_family(_GRAPH, None, unpickle)
    for module, name in STEPS:
        step = getattr(module, name)
        if not hasattr(step, _STEP):
            around = wraps(step)(partial(run, step))
            setattr(around, _STEP, step)
            setattr(module, name, around)


def mark_graph(message: dict[str, Any]) -> None:
    """``expr_ser``, or ``graph_header`` in old releases: have us unpickle it.

    A graph that is not pickled as a whole, such as one with lists of parts, stays
    upstream's.
    """
    header = message.get("graph_header")
    if header is None:
        header = getattr(message.get("expr_ser"), "header", {})
    if header.get("serializer") == "pickle":
        header["serializer"] = _GRAPH
