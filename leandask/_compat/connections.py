"""Connections, and what upstream and `tornado` hold of each worker and client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.comm import Comm
    from distributed.scheduler import WorkerState


def on_connection(scheduler: Scheduler, act: Callable[[Comm], object]) -> None:
    """``Server._handle_comm`` (core.py): looked up for each new connection."""
    handle: Any = scheduler._handle_comm

    def handle_comm(comm: Comm) -> Any:
        act(comm)
        return handle(comm)

    scheduler._handle_comm = handle_comm  # type: ignore[method-assign]


def replace_buffers(stream: Any, kind: Callable[[deque[Any]], Any]) -> None:
    """``IOStream._write_futures``, ``_StreamBuffer._buffers`` (tornado/iostream.py).

    Both are deques, and looked up at each use. What is none stays as it is.
    """
    buffer = getattr(stream, "_write_buffer", None)
    for owner, name in ((stream, "_write_futures"), (buffer, "_buffers")):
        items = getattr(owner, name, None)
        if type(items) is deque:
            setattr(owner, name, kind(items))


def replace_memory_samples(
    ws: WorkerState, kind: Callable[[deque[tuple[float, int]]], Any]
) -> None:
    """``WorkerState._memory_unmanaged_history`` (scheduler.py): a worker's memory."""
    ws._memory_unmanaged_history = kind(ws._memory_unmanaged_history)
