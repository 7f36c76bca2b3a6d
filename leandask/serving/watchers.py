"""Watchers: clients that asked for the task stream, and what they are told."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from distributed.comm import get_address_host
from distributed.comm.inproc import InProc

from leandask import _compat
from leandask._throttle import Throttle
from leandask.histories.taskstream import TaskStream, as_time, task_stream_of
from leandask.serving.performancereport import late_notice, with_notices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distributed import Scheduler
    from distributed.comm import Comm

    from leandask.histories.taskbuffer import TaskBuffer

logger = logging.getLogger("leandask")

#: Seconds between two warnings that a client could not be noted or told.
WARN_SECONDS = 60.0
#: Seconds by which a client's clock may be late, which asks for tasks since now.
CLOCK_SECONDS = 1.0
#: The tasks that a report draws, while it is made, if they are not those of memory.
_drawn: ContextVar[TaskBuffer | None] = ContextVar("_drawn", default=None)


class Watchers:
    """Notes which clients watch the task stream; tells them if an answer is cut.

    A client says so by what it calls: ``distributed.get_task_stream`` asks for the
    index of the stream, or before 2026.6 for the tasks from 0 to 0, and afterwards for
    those since then. ``performance_report`` does the latter, and then asks for the
    report. ``Client.get_task_stream`` just asks: such a client may ask again, so it
    watches until it leaves.

    A window belongs to the connection that opened it. It is open until that closes, or
    tasks from where it began are asked for: by this connection, or by another from the
    same host, as a client has several. It closes those that it does not need only if
    they are more than 512.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self._warning = Throttle(WARN_SECONDS)
        #: One window is read from the event log at a time.
        self._reading = asyncio.Lock()
        handlers = scheduler.handlers
        self._collect: Any = handlers["get_task_stream"]
        self._index: Any = handlers.get("get_task_stream_index")  # since 2026.6
        self._report: Any = handlers["performance_report"]
        self._get_kept: Any = scheduler.get_task_stream
        scheduler.get_task_stream = self._get_drawn  # type: ignore[method-assign]
        handlers["get_task_stream"] = self.get_task_stream
        handlers["performance_report"] = self.performance_report
        if self._index is not None:
            handlers["get_task_stream_index"] = self.get_task_stream_index

    # Upstream passes the connection to a handler whose first parameter is `comm`.

    def get_task_stream_index(self, comm: Comm) -> int:
        """Answer as upstream does, and open a window."""
        index: int = self._index()
        self._note(lambda stream: stream.watch(comm, index))
        return index

    def get_task_stream(
        self, comm: Comm, serializers: Sequence[str] | None = None, **asked: Any
    ) -> Any:
        """Answer as upstream does, and open or close a window."""
        # A client may tell what it reads; one in this process reads objects.
        is_read = serializers is None or "msgpack" in serializers
        is_packed = is_read and not isinstance(comm, InProc)
        self._collect(count=0)  # starts the task stream, if there is none yet
        if (window := self._window_beyond_memory(**asked)) is not None:
            self._note(lambda stream: self._move_windows(stream, comm, **asked))
            return self._answer_logged(comm, window, is_packed)
        return self._answer_kept(comm, is_packed, asked)

    async def _answer_logged(
        self, comm: Comm, window: tuple[float, float, int | None], is_packed: bool
    ) -> Any:
        """Answer with tasks from the event log."""
        from leandask.serving.loggedtasks import answer  # it imports the readers

        async with self._reading:
            tasks, notice = await answer(self.scheduler, window, is_packed)
        if notice:
            self._note(lambda stream: self._tell(comm, notice))
        return tasks

    def _answer_kept(self, comm: Comm, is_packed: bool, asked: dict[str, Any]) -> Any:
        """Answer with the tasks that memory keeps."""
        stream = task_stream_of(self.scheduler)
        if stream is None:
            return self._collect(**asked)
        answer: Any = stream.answer(**asked) if is_packed else None
        if answer is None:  # 100,000 objects take a second
            answer = asyncio.to_thread(stream.reader(**asked))
        self._note(lambda stream: self._note_asked(stream, comm, **asked))
        return answer

    async def performance_report(self, comm: Comm, **asked: Any) -> str:
        """Answer as upstream does, and close a window."""
        notices: list[str] = []
        start = asked["start"]
        logged, missing = await self._logged(start)

        def note(stream: TaskStream) -> None:
            cut = stream.notice_of(start=start) if logged is None else missing
            notices.extend(filter(None, [cut, late_notice(self.scheduler, start)]))
            for notice in notices:
                self._tell(comm, notice)

        drawn = _drawn.set(logged)
        try:
            report: str = await self._report(**asked)
            self._note(note)
        finally:
            _drawn.reset(drawn)
            self._note(lambda stream: self._close(stream, comm, start=start))
        # What Bokeh drew is in cycles: 20 MB for 20,000 tasks. It would stay for hours,
        # as the heap is too large for housekeeping then. A report holds the event loop
        # for seconds, this for 0.1.
        gc.collect()
        return with_notices(report, notices)

    async def _logged(self, start: float) -> tuple[TaskBuffer | None, str]:
        """Return tasks of the event log for a report, if memory does not have all.

        And what is to be said of them. None too if they can't be read.
        """
        if self._window_beyond_memory(start=start) is None:
            return None, ""
        from leandask.serving.loggedtasks import to_draw  # it imports the readers

        try:
            async with self._reading:
                return await to_draw(self.scheduler, start)
        except Exception:
            logger.warning("The event log can't be read for a report", exc_info=True)
            return None, ""

    def _get_drawn(self, *args: Any, **kwargs: Any) -> Any:
        """Stand for ``Scheduler.get_task_stream``, which upstream's report calls."""
        drawn = _drawn.get()
        return self._get_kept(*args, **kwargs) if drawn is None else drawn

    def _note_asked(self, stream: TaskStream, comm: Comm, **asked: Any) -> None:
        if notice := stream.notice_of(**asked):
            self._tell(comm, notice)
        self._move_windows(stream, comm, **asked)

    def _move_windows(
        self,
        stream: TaskStream,
        comm: Comm,
        start: Any = None,
        stop: Any = None,
        count: int | None = None,
        start_index: int | None = None,
    ) -> None:
        """Open or close a window, as a client asked for tasks."""
        is_time = isinstance(start, (int, float))
        if start_index is not None:
            self._close(stream, comm, start_index)
        elif start == 0 and stop == 0:
            stream.watch(comm)
        elif (
            self._index is None
            and is_time
            and any(window.connection is comm for window in stream.windows)
        ):
            self._close(stream, comm, start=start)
        elif count is None or start is not None:
            stream.stay(comm)

    def _window_beyond_memory(
        self,
        start: Any = None,
        stop: Any = None,
        count: int | None = None,
        start_index: int | None = None,
    ) -> tuple[float, float, int | None] | None:
        """Return the window that is asked for if only the event log has all of it."""
        stream = task_stream_of(self.scheduler)
        if stream is None or start is count is start_index is None:
            return None
        if not self._has_log():
            return None
        begin = as_time(start) or 0.0
        end = math.inf if stop is None else as_time(stop)
        # It has no tasks from before somebody asked for it.
        is_late = start is not None and begin < min(stream.begun - CLOCK_SECONDS, end)
        if not (is_late or stream.notice_of(start, stop, count, start_index)):
            return None
        if start_index is not None:
            opened = [w.opened for w in stream.windows if w.begin == start_index]
            begin = min(opened, default=0.0)
        return begin, end, count

    def _has_log(self) -> bool:
        """Whether an event log has the runs of tasks."""
        extension = self.scheduler.extensions["leandask"]
        return extension.event_log is not None and extension.records_tasks

    def _close(
        self, stream: TaskStream, comm: Comm, begin: int | None = None, start: float = 0
    ) -> None:
        """Close the window that begins at an index, or that was opened at a time.

        The clock of a client may be wrong: the one that was opened next to it.
        """
        host = get_address_host(comm.peer_address)
        windows = [
            window
            for window in stream.windows
            if window.begin == begin
            and get_address_host(window.connection.peer_address) == host
        ]
        if windows:
            own = [window for window in windows if window.connection is comm]
            stream.unwatch(min(own or windows, key=lambda w: abs(w.opened - start)))

    def _tell(self, comm: Comm, notice: str) -> None:
        """Have the client raise a Python warning. Others on its host do so too.

        That a connection belongs to a client is not known, only where it comes from.
        Clients subscribe to the topic of warnings by themselves.
        """
        scheduler, host = self.scheduler, get_address_host(comm.peer_address)
        topic = _compat.get_topics(scheduler).get("warn")
        event = {"op": "event", "topic": "warn", "event": (time.time(), notice)}
        for name in topic.subscribers if topic is not None else ():
            stream = scheduler.client_comms.get(name)
            if stream is None or stream.comm is None:
                continue
            if get_address_host(stream.comm.peer_address) == host:
                scheduler.send_all({name: [event]}, {})

    def _note(self, act: Callable[[TaskStream], object]) -> None:
        """Do something with the task stream, if it is ours. Never raises."""
        try:
            stream = task_stream_of(self.scheduler)
            if stream is not None:
                act(stream)
        except Exception:
            if self._warning.acquire():
                logger.warning("A watcher of tasks can't be noted", exc_info=True)
