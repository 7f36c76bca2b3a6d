"""Intake: takes graphs in, and lets go of what was needed only for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.tasks.collector import Collector

#: Seconds after which a graph that is still being read counts as large.
LARGE_SECONDS = 0.25

#: Whether the order of the graph that this context takes in is found by the scheduler.
_is_ordered: ContextVar[bool] = ContextVar("_is_ordered", default=True)


class Intake:
    """Goes around the steps in which upstream takes in a graph.

    Upstream reads a graph and finds the order of its tasks in a thread, while the event
    loop runs. Then it makes the states of all its tasks at once.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    collector : Collector
    trim : callable
        Returns free memory to the system. It runs in a thread after a large graph.
    """

    def __init__(
        self, scheduler: Scheduler, collector: Collector, trim: Callable[[], None]
    ) -> None:
        self.collector = collector
        self._trim = trim
        self._update_graph = scheduler.stream_handlers["update-graph"]
        self._make_tasks = _compat.get_task_maker(scheduler)
        scheduler.stream_handlers["update-graph"] = self.update_graph
        _compat.set_task_maker(scheduler, self.make_tasks)

    async def update_graph(self, **message: Any) -> None:
        """Take in a graph: the handler of the message that has it."""
        is_ordered = not message.get("internal_priority")
        _is_ordered.set(is_ordered)
        _compat.move_frames(message)
        reading = Reading(self.collector, is_ordered)
        reading.begin()
        try:
            taking = self._update_graph(**message)
            del message  # upstream drops its parts as soon as it has read them
            await taking
        finally:
            reading.end()

    def make_tasks(self, *args: Any, **kwargs: Any) -> Any:
        """Make the states of the tasks of a graph."""
        n_tasks = len(kwargs["dsk"])
        with self.collector.taking_in(n_tasks, is_ordered=_is_ordered.get()):
            made = self._make_tasks(*args, **kwargs)
        if n_tasks >= self.collector.large:
            asyncio.get_running_loop().run_in_executor(None, self._trim)
        return made


class Reading:
    """What the collector does while a graph is read.

    How many tasks it has is known only then. Upstream unpickles it at once; what takes
    longer than :data:`LARGE_SECONDS` is large.
    """

    def __init__(self, collector: Collector, is_ordered: bool) -> None:
        self._collector = collector
        self._is_ordered = is_ordered and collector.is_own
        self._large_at = time.monotonic() + LARGE_SECONDS
        self._loop = asyncio.get_running_loop()
        #: Ends what is in force.
        self._stack = ExitStack()
        self._next: asyncio.Handle | None = None
        #: The event loop holds its tasks weakly.
        self._freezing: asyncio.Future[None] | None = None

    def begin(self) -> None:
        """Turn automatic collections off until the event loop runs again."""
        self._turn_off()
        self._next = self._loop.call_soon(self._go_on)

    def end(self) -> None:
        """Turn automatic collections on: the tasks are made, or can't be."""
        if self._next is not None:
            self._next.cancel()
        self._stack.close()

    def _turn_off(self) -> None:
        self._stack.enter_context(self._collector.off())

    def _go_on(self) -> None:
        if self._is_ordered:
            self._freezing = asyncio.ensure_future(
                _compat.run_after_reading(self._freeze_if_large)
            )
        left = self._large_at - time.monotonic()
        if left > 0:
            self._stack.close()
            self._next = self._loop.call_later(left, self._turn_off)

    def _freeze_if_large(self) -> None:
        # For the collection after the order has been found.
        if time.monotonic() >= self._large_at:
            self._collector.freeze_graph()
