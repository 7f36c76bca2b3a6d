"""The scheduler: its broker, logs, streams, background tasks, queue and sizes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

import distributed.core
from dask.sizeof import sizeof
from distributed._async_taskgroup import AsyncTaskGroup
from distributed.scheduler import WorkerStatusPlugin

if TYPE_CHECKING:
    from collections import deque

    from distributed import Scheduler
    from distributed.batched import BatchedSend
    from distributed.broker import Broker, Topic
    from distributed.collections import HeapSet
    from distributed.comm import Comm
    from distributed.diagnostics.plugin import SchedulerPlugin
    from distributed.utils import DequeHandler


def get_sizer(kind: type) -> Callable[[Any], int]:
    """``sizeof._lookup``, ``sizeof._lazy`` (dask/utils.py): how to measure a class.

    As ``sizeof.dispatch`` does, which would keep every class forever, at 12 kB each.
    """
    for base in kind.__mro__:
        package = str(getattr(base, "__module__", "")).partition(".")[0]
        if package in sizeof._lazy:
            sizeof.dispatch(base)  # registers the classes of that package, once
        if base in sizeof._lookup:
            return cast(Callable[[Any], int], sizeof._lookup[base])
    raise TypeError(f"no size is known of {kind!r}")  # as dispatch does


def set_broker(scheduler: Scheduler, broker: Broker) -> None:
    """``Scheduler._broker`` (scheduler.py): looked up at each use."""
    scheduler._broker = broker


def get_topics(scheduler: Scheduler) -> dict[str, Topic]:
    """``Broker._topics`` (broker.py): the dashboard and cluster dumps read it too."""
    return scheduler._broker._topics


def set_topics(broker: Broker, topics: dict[str, Any]) -> None:
    """``Broker._topics``: its ``__missing__`` makes a topic."""
    broker._topics = cast(Any, topics)


def get_connections(scheduler: Scheduler) -> Collection[Comm]:
    """``Server._comms`` (core.py): the connections that others have opened."""
    return scheduler._comms.keys()


def get_log_handler(scheduler: Scheduler) -> DequeHandler:
    """``ServerNode._deque_handler`` (node.py): the log lines behind ``get_logs``."""
    return scheduler._deque_handler


def set_log_handler(scheduler: Scheduler, handler: DequeHandler) -> None:
    """``ServerNode._deque_handler``: looked up at each ``get_logs``."""
    scheduler._deque_handler = handler


def get_message_log(stream: BatchedSend) -> deque[Any]:
    """``BatchedSend.recent_message_log`` (batched.py): written, never read."""
    return stream.recent_message_log


def set_message_log(stream: BatchedSend, log: deque[Any]) -> None:
    """``BatchedSend.recent_message_log``: looked up at each batch."""
    stream.recent_message_log = log


def get_status_stream(plugin: SchedulerPlugin) -> BatchedSend | None:
    """``WorkerStatusPlugin.bcomm`` (scheduler.py): the stream to a cluster manager."""
    return plugin.bcomm if isinstance(plugin, WorkerStatusPlugin) else None


def get_profile(scheduler: Scheduler) -> deque[Any]:
    """``Server.io_loop.profile`` (core.py): a thread and open pages hold it too."""
    return cast(Any, scheduler.io_loop).profile


def get_running_prefixes(scheduler: Scheduler) -> Mapping[str, int]:
    """``SchedulerState._task_prefix_count_global`` (scheduler.py): processing ones."""
    return scheduler._task_prefix_count_global


def get_owner_of_unknown_durations(scheduler: Scheduler) -> Any:
    """The owner of ``unknown_durations``: stealing; before 2025.2 the scheduler."""
    if hasattr(scheduler, "unknown_durations"):
        return scheduler
    return scheduler.extensions.get("stealing")


def get_propagation(scheduler: Scheduler) -> Callable[..., Any]:
    """``Scheduler._propagate_erred`` (scheduler.py): each task that errs."""
    return scheduler._propagate_erred


def set_propagation(scheduler: Scheduler, function: Callable[..., Any]) -> None:
    """``Scheduler._propagate_erred``: looked up at each task that errs."""
    cast(Any, scheduler)._propagate_erred = function


def get_background_tasks(scheduler: Scheduler) -> AsyncTaskGroup:
    """``Server._ongoing_background_tasks`` (core.py): also the delayed calls."""
    return scheduler._ongoing_background_tasks


def set_background_tasks(scheduler: Scheduler, tasks: AsyncTaskGroup) -> None:
    """``Server._ongoing_background_tasks``: looked up at each use."""
    scheduler._ongoing_background_tasks = tasks


def share_tasks(group: AsyncTaskGroup, old: AsyncTaskGroup) -> None:
    """``AsyncTaskGroup._ongoing_tasks``: a task leaves the set it was added to."""
    group._ongoing_tasks = old._ongoing_tasks


def forget_handlers() -> None:
    """``core._expects_comm``: a cache that keeps handlers, and so their servers, alive.

    Looking a handler up again takes 0.1 ms.
    """
    distributed.core._expects_comm.cache_clear()


def compact_heap(queue: HeapSet[Any]) -> None:
    """``HeapSet._heap`` (collections.py): discarded entries stay until on top."""
    live = queue._data
    if len(queue._heap) <= 2 * len(live) + 1000:  # not worth the work
        return
    queue._heap[:] = [entry for entry in queue._heap if entry[2]() in live]
    heapq.heapify(queue._heap)
    queue._sorted = False
