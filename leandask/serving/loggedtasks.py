"""LoggedTasks: tasks of a window beyond what memory keeps, from the event log."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from leandask.histories.taskbuffer import BLOCK, TaskBuffer
from leandask.reading.reader import LogReader, key_of
from leandask.records.times import rfc3339

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.eventlog.eventlog import EventLog
    from leandask.histories.tasks.taskblock import Task
    from leandask.reading.taskruns import TaskRun

#: Seconds by which a worker's clock, and the way of its message, may be late.
SLACK = 60.0
#: Seconds after which the rest of the log is not read, and the answer is cut.
MOST_SECONDS = 60.0
#: Tasks of an answer; packed they take 50 bytes each.
MOST_TASKS = 1_000_000
#: Tasks of a report, or of an answer with objects, of 1 kB a task: as many as upstream
#: keeps, and so draws, by default.
MOST_UNPACKED = 100_000
#: Seconds to wait until the last records are in the log.
CATCH_UP_SECONDS = 2.0
#: Runs read before the event loop gets the interpreter.
SLICE = 64


async def answer(
    scheduler: Scheduler, asked: tuple[float, float, int | None], is_packed: bool
) -> tuple[Any, str]:
    """Answer with tasks that ended between two times, or with the last ones of these.

    And with what is to be said of them. They are read from the event log of the
    scheduler, which has the runs of tasks.
    """
    start, stop, count = asked
    most = MOST_TASKS if is_packed else MOST_UNPACKED
    if count is not None and count <= most:
        most = count + BLOCK  # older ones are evicted in blocks
    window = Window(scheduler.id, start, stop, most)
    tasks = await _read(scheduler, window)
    last = await asyncio.to_thread(_last, tasks, count, is_packed)
    if not (missing := _missing(tasks, window, count)):
        return last, ""
    n_tasks = len(tasks) if count is None else min(len(tasks), count)
    return last, (
        f"The task stream is cut: it has {n_tasks} tasks of the event log. Missing "
        f"are {missing}. leandask.LogReader.tasks has all of them."
    )


async def to_draw(scheduler: Scheduler, start: float) -> tuple[TaskBuffer, str]:
    """Return the tasks that ended since a time, and what is to be said of them.

    They are for a report, which upstream draws on the event loop.
    """
    window = Window(scheduler.id, start, math.inf, MOST_UNPACKED)
    tasks = await _read(scheduler, window)
    if not (missing := _missing(tasks, window)):
        return tasks, ""
    return tasks, (
        f"The task stream shows {len(tasks)} tasks of the event log. Missing are "
        f"{missing}. leandask performance-report shows all of them."
    )


def _last(tasks: TaskBuffer, count: int | None, is_packed: bool) -> Any:
    """Return the last tasks for a client; not on the event loop."""

    def first() -> int:
        return 0 if count is None else max(len(tasks) - count, 0)

    packed = tasks.answer(first(), len(tasks)) if is_packed else None
    if packed is not None:
        return packed
    if count is None or count > MOST_UNPACKED:
        tasks.most = MOST_UNPACKED
        tasks.resize(tasks.bound)
    return tasks[first() :]


def _missing(tasks: TaskBuffer, window: Window, count: int | None = None) -> str:
    """Say which tasks of a window are missing; empty if none is."""
    missing = []
    is_short = count is None or len(tasks) < count
    if is_short and tasks.evicted_until > -math.inf:
        missing.append(
            f"older ones, the last of which ended at {rfc3339(tasks.evicted_until)}"
        )
    if window.read_until is not None:
        missing.append(f"all from {rfc3339(window.read_until)} on")
    return " and ".join(missing)


async def _read(scheduler: Scheduler, window: Window) -> TaskBuffer:
    extension: Any = scheduler.extensions["leandask"]
    await extension.stream.acatch_up(CATCH_UP_SECONDS)
    return await asyncio.to_thread(window.read, extension.event_log)


class Window:
    """Tasks of a scheduler that ended between two times, the last ones of them.

    Parameters
    ----------
    scheduler_id : str
    start, stop : float
        Seconds since the epoch.
    most : int
        Tasks that are kept.
    """

    def __init__(self, scheduler_id: str, start: float, stop: float, most: int) -> None:
        self._scheduler_id = scheduler_id
        self._start, self._stop = start, stop
        self._most = most
        #: When the scheduler learned of the run that was read last, if the log was not
        #: read to its end, in seconds since the epoch.
        self.read_until: float | None = None

    def read(self, log: EventLog) -> TaskBuffer:
        """Read them from an event log; not on the event loop.

        Raises
        ------
        OSError
            If it can't be read.
        """
        log.flush()
        tasks = TaskBuffer((), 0, self._most)
        tasks.is_watched = True
        end = time.monotonic() + MOST_SECONDS
        since = self._start - SLACK if self._start > SLACK else None
        for number, run in enumerate(LogReader(log.file.path).tasks(since=since)):
            if self._has(run):
                tasks.append(task_of(run))
            if number % SLICE == 0:
                time.sleep(0)  # the event loop gets the interpreter
                if time.monotonic() > end:
                    self.read_until = run.timestamp
                    break
        return tasks

    def _has(self, run: TaskRun) -> bool:
        return (
            run.scheduler_id == self._scheduler_id
            and run.stop is not None
            # As upstream adds it to its stream when the scheduler learns of it.
            and max(run.stop, run.timestamp) >= self._start
            and run.stop <= self._stop
            and not run.is_tried_again  # upstream does not show it
        )


def task_of(run: TaskRun) -> Task:
    """Return a task as upstream's task stream has it, as far as the log tells."""
    assert run.start is not None and run.stop is not None
    parts = [("compute", run.start, run.stop)]
    begin = run.start
    for action, seconds in (
        ("deserialize", run.deserialize),
        ("disk-read", run.disk),
        ("transfer", run.transfer),
    ):
        if seconds:  # one before the other, as their times are not in the log
            parts.insert(0, (action, begin - seconds, begin))
            begin -= seconds
    task: dict[str, Any] = {
        "key": key_of(run.key),
        "worker": run.worker,
        "thread": run.thread,
        "stimulus_id": run.stimulus_id,
        "startstops": tuple(
            {"action": action, "start": start, "stop": stop}
            for action, start, stop in parts
        ),
    }
    if run.status == "finished":
        own = {"status": "OK", "nbytes": run.nbytes, "typename": run.type}
    else:
        own = {"status": "error", "exception_text": run.exception_text}
        own["traceback_text"] = run.traceback
    return task | own
