"""The steps in which the scheduler takes in a graph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from distributed.protocol.serialize import Serialized
from distributed.utils import offload

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


def run_after_reading(function: Callable[[], None]) -> Awaitable[None]:
    """``utils.offload``: one thread reads a graph, then finds the order of its tasks.

    What is called right after ``Scheduler.update_graph`` has begun runs between the
    two: the order is asked for only when the event loop has got the graph.
    """
    return offload(function)
