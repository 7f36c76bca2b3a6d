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
        #: The event loop holds its tasks weakly.
        self._freezing: set[asyncio.Future[None]] = set()
        self._update_graph = scheduler.stream_handlers["update-graph"]
        self._make_tasks = _compat.get_task_maker(scheduler)
        scheduler.stream_handlers["update-graph"] = self.update_graph
        _compat.set_task_maker(scheduler, self.make_tasks)

    async def update_graph(self, **message: Any) -> None:
        """Take in a graph: the handler of the message that has it."""
        is_ordered = not message.get("internal_priority")
        _is_ordered.set(is_ordered)
        _compat.move_frames(message)
        loop = asyncio.get_running_loop()
        begun = time.monotonic()
        # Its size is not known yet. Graphs that are read at once are small.
        with ExitStack() as stack:
            timer = loop.call_later(
                LARGE_SECONDS, lambda: stack.enter_context(self.collector.off())
            )
            stack.callback(timer.cancel)
            taking = self._update_graph(**message)
            del message
            if is_ordered and self.collector.is_own:
                loop.call_soon(self._freeze_graph, begun + LARGE_SECONDS)
            await taking

    def _freeze_graph(self, large_after: float) -> None:
        """Have the collection after the order not visit the graph, if it is large."""

        def freeze() -> None:
            if time.monotonic() >= large_after:
                self.collector.freeze()

        frozen = asyncio.ensure_future(_compat.run_after_reading(freeze))
        self._freezing.add(frozen)
        frozen.add_done_callback(self._freezing.discard)

    def make_tasks(self, *args: Any, **kwargs: Any) -> Any:
        """Make the states of the tasks of a graph."""
        n_tasks = len(kwargs["dsk"])
        with self.collector.taking_in(n_tasks, is_ordered=_is_ordered.get()):
            made = self._make_tasks(*args, **kwargs)
        if n_tasks >= self.collector.large:
            asyncio.get_running_loop().run_in_executor(None, self._trim)
        return made
