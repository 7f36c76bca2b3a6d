"""The task stream: the last tasks for pages, all of them for who watches."""

from __future__ import annotations

import logging
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dask.utils import format_bytes, parse_timedelta
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.metrics import time

from leandask._throttle import Throttle
from leandask.histories.history import Held
from leandask.histories.names import Limit
from leandask.histories.taskbuffer import MOST_BYTES, TaskBuffer
from leandask.histories.tasks.taskblock import Task
from leandask.records.times import rfc3339
from leandask.settings.rules import smaller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from distributed import Scheduler
    from distributed.comm import Comm
    from distributed.protocol import Serialized

logger = logging.getLogger("leandask")

#: Seconds between two warnings in the scheduler's log that an answer is cut.
WARN_SECONDS = 60.0
#: Modules of upstream that add a task stream when a client or a page needs one.
STARTERS = ("distributed.scheduler", "distributed.dashboard.components.scheduler")

#: Bytes that the last tasks may take in any case, so that a few of them may have erred.
LEAST_BYTES = 64 * 1024

#: Windows that are noted; of more, the last ones. One takes 200 bytes.
MOST_WINDOWS = 1000

_warning = Throttle(WARN_SECONDS)


class Window(NamedTuple):
    """A block of code around which a client asked for the task stream."""

    connection: Comm
    #: Where its tasks begin, if it asks for them by this, since 2026.6.
    begin: int | None
    #: When it was opened, in seconds since the epoch.
    opened: float


class TaskStream(TaskStreamPlugin):
    """A task stream that is whole for those who watch it. See :func:`adopt`."""

    buffer: TaskBuffer
    #: When it was started, in seconds since the epoch: it has no tasks from before.
    begun: float
    #: Windows that are open, the last `MOST_WINDOWS` of them.
    windows: deque[Window]
    #: Connections of clients that watch until they leave.
    staying: set[Comm]
    #: Whether it was added by Python code, which reads it when it likes.
    is_held: bool

    @property
    def n_watchers(self) -> int:
        """Connections of clients that watch."""
        return len(self.staying.union(window.connection for window in self.windows))

    def watch(self, connection: Comm, begin: int | None = None) -> None:
        """Keep all tasks from now on, until `unwatch`."""
        self.windows.append(Window(connection, begin, time()))
        self.forget_gone()

    def stay(self, connection: Comm) -> None:
        """Keep all tasks from now on, until the client is gone."""
        self.staying.add(connection)
        self.forget_gone()

    def unwatch(self, window: Window) -> None:
        """Close a window."""
        self.windows.remove(window)
        self.forget_gone()

    def forget_gone(self) -> None:
        """Forget clients that are gone, and what is kept for nobody."""
        for window in [each for each in self.windows if each.connection.closed()]:
            self.windows.remove(window)
        self.staying = {each for each in self.staying if not each.closed()}
        is_watched = bool(self.windows or self.staying or self.is_held)
        self.buffer.is_watched = is_watched

    def collect(self, *args: Any, **kwargs: Any) -> list[Task]:
        """Return tasks as upstream does; warn if some of them are missing."""
        self._warn(*args, **kwargs)
        places = self.find(*args, **kwargs)
        return [self.buffer[place] for place in places]

    def answer(self, **asked: Any) -> Serialized | None:
        """Return the same for a client, packed; None if that is not possible."""
        self._warn(**asked)
        places = self.find(**asked)
        return self.buffer.answer(places.start, places.stop)

    def reader(self, **asked: Any) -> Callable[[], list[Task]]:
        """Return what reads the same tasks; it may be called in another thread."""
        self._warn(**asked)
        tasks, places = self.buffer.copy(), self.find(**asked)
        return lambda: tasks[places.start : places.stop]

    def find(self, *args: Any, **kwargs: Any) -> range:
        """Where in the buffer the tasks are that `collect` of upstream returns."""
        cursor = _Cursor(self.buffer, self.index)
        n_found = len(TaskStreamPlugin.collect(cast(Any, cursor), *args, **kwargs))
        return range(cursor.place + 1 - n_found, cursor.place + 1)

    def notice_of(
        self,
        start: Any = None,
        stop: Any = None,
        count: int | None = None,
        start_index: int | None = None,
    ) -> str:
        """Say what an answer of `collect` misses; empty if it is whole."""
        buffer, start, stop = self.buffer, as_time(start), as_time(stop)
        n_evicted = self.index - len(buffer)
        if start_index is not None:
            is_cut = start_index < n_evicted
        elif not n_evicted or (stop is not None and stop <= buffer.evicted_from):
            is_cut = False
        elif start is not None:
            is_cut = start <= buffer.evicted_until
        else:
            is_cut = count is None or len(self.find(stop=stop, count=count)) < count
        if not is_cut:
            return ""
        return (
            "The task stream is cut: older tasks are missing, the last of which ended "
            f"at {rfc3339(buffer.evicted_until)}. The scheduler keeps the last "
            f"{buffer.bound} tasks (leandask.retention.task-stream), and the last "
            f"{buffer.most} while a client watches, in at most "
            f"{format_bytes(MOST_BYTES)}."
        )

    def _warn(self, *args: Any, **kwargs: Any) -> None:
        """Warn if an answer misses tasks."""
        notice = self.notice_of(*args, **kwargs)
        if notice and _warning.acquire():
            logger.warning(notice)

    def rectangles(self, istart: int | None, *args: Any, **kwargs: Any) -> Any:
        """Return what a page draws of the last tasks, as upstream does."""
        n_older = self.index - len(self.buffer.recent)
        return super().rectangles(max(istart or 0, n_older), *args, **kwargs)


class _Cursor:
    """Stands for a buffer in upstream's `collect`, and for the task it read last.

    So it tells where the tasks are, and none of them is unpacked but for its times.
    """

    def __init__(self, tasks: TaskBuffer, index: int):
        self.tasks = tasks
        #: As of the stream.
        self.buffer, self.index = self, index
        #: Where the task that was read last is.
        self.place = -1

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.tasks[self.place][key]
        self.place = key
        return self


def adopt(
    plugin: TaskStreamPlugin, bound: int | None, limit: Limit | None = None
) -> None:
    """Make a task stream of upstream's, in its place, or set other bounds for ours.

    Who made it, and pages, hold it already. A class derived from upstream's is its
    author's, and stays as it is.
    """
    if limit is not None:
        limit = limit._replace(nbytes=max(limit.nbytes, LEAST_BYTES))
    if type(plugin) is TaskStreamPlugin:
        most = cast("deque[Task]", plugin.buffer).maxlen
        stream = cast(TaskStream, plugin)
        stream.__class__ = TaskStream
        stream.begun = time()
        stream.windows, stream.staying = deque(maxlen=MOST_WINDOWS), set()
        stream.is_held = _is_added_by_a_user()
        tasks = list(plugin.buffer)
        stream.buffer = TaskBuffer(tasks, smaller(most, bound), most, limit)
        if plugin.index > len(tasks):  # upstream has evicted some
            stream.buffer.note_evicted(0.0, time())
        stream.forget_gone()
    elif isinstance(plugin, TaskStream):
        plugin.buffer.resize(smaller(plugin.buffer.most, bound), limit)


def task_stream_of(scheduler: Scheduler) -> TaskStream | None:
    """The task stream, if a client or a page started it."""
    plugin = scheduler.plugins.get(TaskStreamPlugin.name)
    return plugin if isinstance(plugin, TaskStream) else None


def look(scheduler: Scheduler) -> Held:
    """Count the last tasks."""
    stream = task_stream_of(scheduler)
    if stream is None:
        return Held(0, 0)
    recent, weight = stream.buffer.recent, stream.buffer.weight
    return Held(len(recent), stream.index, weight=weight)


def forget(scheduler: Scheduler) -> None:
    """Forget clients that are gone, and what was kept for them."""
    stream = task_stream_of(scheduler)
    if stream is not None:
        stream.forget_gone()


def _is_added_by_a_user() -> bool:
    """Whether a plugin is being added, and not by upstream's own code."""
    frame: FrameType | None = sys._getframe()
    is_adding = False
    while frame is not None:
        if frame.f_code.co_name == "add_plugin":
            is_adding = True
        elif is_adding:
            return frame.f_globals.get("__name__") not in STARTERS
        frame = frame.f_back
    return False


def as_time(value: Any) -> Any:
    """Return a time in seconds since the epoch; upstream also takes ``"60s"``, ago."""
    return time() - parse_timedelta(value) if isinstance(value, str) else value
