"""TaskRuns: tells the stream of each run of a task, as the workers report it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from distributed.metrics import time

from leandask import _compat
from leandask.records.loggers import TASKS
from leandask.records.recordqueue import Kind
from leandask.records.stream import CHARACTER_BYTES
from leandask.records.taskruns import (
    EXCEPTION_LENGTH,
    RUN_BYTES,
    TRACEBACK_LENGTH,
    Failure,
    Run,
    RunRecords,
    Told,
    middle_cut,
)
from leandask.records.text import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from distributed import Scheduler
    from distributed.scheduler import TaskState

    from leandask.records.stream import RecordStream


class TaskRuns:
    """Goes around what upstream does when a task has finished or erred.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
    workers_lost : callable
        Returns the workers that were lost while a task ran, by its key.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        stream: RecordStream,
        workers_lost: Callable[[str], list[str]],
    ) -> None:
        self._scheduler = scheduler
        self._stream = stream
        self._take = stream.take
        records = RunRecords(stream.factory)
        self._finished = Kind("task", records.finished, TASKS)
        self._erred = Kind("task", records.erred, TASKS)
        self._workers_lost = workers_lost
        #: The message of a run that erred, while upstream handles it.
        self._erring: Told = {}

    def install(self) -> None:
        """Take what workers tell of tasks, before upstream does."""
        handlers = self._scheduler.stream_handlers
        self._task_finished = handlers["task-finished"]
        self._task_erred = handlers["task-erred"]
        handlers["task-finished"] = self.task_finished
        handlers["task-erred"] = self.task_erred
        _compat.watch_erred_tasks(self._scheduler, self._see_erred)

    def task_finished(self, **message: Any) -> None:
        """Take a run that finished: the handler of the message of a worker."""
        key, worker = message["key"], message["worker"]
        ts = self._scheduler.tasks.get(key)
        ws = self._scheduler.workers.get(worker)
        # Else upstream ignores it: the task was released, or runs elsewhere.
        if (
            ts is not None
            and ws is not None
            and ts.run_id == message["run_id"]
            and ts.state == "processing"
            and TASKS.isEnabledFor(logging.DEBUG)
        ):
            # As in _run, which takes a while to call for every task.
            told = ts.retries, ts.annotations, message
            self._take(
                self._finished,
                (time(), key, ts.group, worker, ws.name, *told),
                RUN_BYTES,
            )
        self._task_finished(**message)

    def task_erred(self, **message: Any) -> None:
        """Take a run that erred: the handler of the message of a worker."""
        ts = self._scheduler.tasks.get(message["key"])
        is_tried_again = (
            ts is not None
            and ts.retries > 0
            and ts.run_id == message["run_id"]
            and ts.state == "processing"
        )
        self._erring = message
        try:
            self._task_erred(**message)
        finally:
            self._erring = {}
        if is_tried_again and ts is not None:
            run = self._run(ts, message["worker"], message)
            self._take_erred(run, message, logging.DEBUG, None)

    def _see_erred(self, ts: TaskState, worker: str | None, texts: Told) -> None:
        """Take a task that is erred now; nothing raises into upstream's transition."""
        try:
            self._tell_why(ts, worker, texts)
        except Exception:
            self._stream.count_error()

    def _tell_why(self, ts: TaskState, worker: str | None, texts: Told) -> None:
        """Take a task that is erred now, for whatever reason."""
        blamed = ts.exception_blame
        if blamed is not None and blamed is not ts:
            run = self._run(ts, None, {})
            self._take_erred(run, {}, logging.DEBUG, blamed.key)
        else:  # it ran, or its workers were lost
            told = self._erring
            run = self._run(ts, worker, told)
            # The worker that was lost just now is not known as one yet.
            lost = [worker] if worker and not told else []
            self._take_erred(run, texts, logging.WARNING, ts.key, lost)

    def _take_erred(
        self, run: Run, texts: Told, level: int, blamed: Any, lost: Sequence[str] = ()
    ) -> None:
        if not TASKS.isEnabledFor(level):
            return
        failure = Failure(
            middle_cut(texts.get("exception_text") or "", EXCEPTION_LENGTH),
            middle_cut(texts.get("traceback_text") or "", TRACEBACK_LENGTH),
            blamed,
            [*self._workers_lost(name_of(run[1])), *lost],
        )
        n_characters = len(failure.exception) + len(failure.traceback)
        nbytes = RUN_BYTES + CHARACTER_BYTES * n_characters
        self._take(self._erred, (run, failure, level), nbytes)

    def _run(self, ts: TaskState, worker: str | None, told: Told) -> Run:
        ws = self._scheduler.workers.get(worker or "")
        name = None if ws is None else ws.name
        return time(), ts.key, ts.group, worker, name, ts.retries, ts.annotations, told
