"""TaskRuns: tells the stream of each run of a task, as the workers report it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from distributed.metrics import time

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
    middle_cut,
)
from leandask.records.text import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Scheduler
    from distributed.scheduler import TaskState, Transition

    from leandask.records.stream import RecordStream

#: What a worker tells of a run.
Message = dict[str, Any]
#: What of it a record is made from, as at the end of a :data:`Run`.
TOLD = ("run_id", "thread", "nbytes", "typename", "stimulus_id", "startstops")


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
        self._tasks = scheduler.tasks
        self._stream = stream
        self._put = stream.queue.put
        records = RunRecords(stream.factory)
        self._finished = Kind("task", records.finished, TASKS)
        self._erred = Kind("task", records.erred, TASKS)
        self._workers_lost = workers_lost
        #: The message of a run that erred, while upstream handles it.
        self._erring: Message = {}

    def install(self) -> None:
        """Take what workers tell of tasks, before upstream does."""
        handlers = self._scheduler.stream_handlers
        self._task_erred = handlers["task-erred"]
        handlers["task-finished"] = self._around(handlers["task-finished"])
        handlers["task-erred"] = self.task_erred
        self._stream.on_erred = self.see_erred
        self._stream.start()

    def _around(self, task_finished: Callable[..., None]) -> Callable[..., None]:
        """Return a handler that takes a run that finished, and does what upstream does.

        A function whose names are bound: a method takes a fifth longer, for every task.
        """
        find, put, finished = self._tasks.get, self._put, self._finished
        is_enabled_for, debug = TASKS.isEnabledFor, logging.DEBUG

        def handle(**message: Any) -> None:
            ts = find(message["key"])
            # Else upstream ignores it: the task was released, or runs elsewhere. A run
            # in processing has the worker that told of it.
            if (
                ts is not None
                and ts.state == "processing"
                and ts.run_id == message["run_id"]
                and is_enabled_for(debug)
            ):
                run: Run = (  # as in _run, which takes a while to call for every task
                    time(),
                    message["key"],
                    ts.group,
                    message["worker"],
                    ts.processing_on.name,  # type: ignore[union-attr]
                    ts.retries,
                    ts.annotations,
                    message["run_id"],
                    message.get("thread"),  # upstream can do without this one
                    message["nbytes"],
                    message["typename"],
                    message["stimulus_id"],
                    message["startstops"],
                )
                put(finished, run, RUN_BYTES)
            task_finished(**message)

        return handle

    def task_erred(self, **message: Any) -> None:
        """Take a run that erred: the handler of the message of a worker."""
        ts = self._tasks.get(message["key"])
        is_tried_again = (
            ts is not None
            and ts.retries > 0
            and ts.run_id == message.get("run_id")
            and ts.state == "processing"
        )
        self._erring = message
        try:
            self._task_erred(**message)
        finally:
            self._erring = {}
        if is_tried_again and ts is not None:
            try:
                self._put_erred(ts, message, logging.DEBUG)
            except Exception:  # a worker that says odd things
                self._stream.count_error()

    def see_erred(self, transition: Transition) -> None:
        """Take a task that has erred, for whatever reason; never raises."""
        try:
            ts = self._tasks[transition.key]
            blamed = ts.exception_blame or ts
            told = {"stimulus_id": transition.stimulus_id}
            if blamed is not ts:  # it did not run
                self._put_erred(ts, told, logging.DEBUG, blamed.key)
            else:
                told = self._erring or told | _why_given_up(ts)
                self._put_erred(ts, told, logging.WARNING, ts.key)
        except Exception:
            self._stream.count_error()

    def _put_erred(
        self, ts: TaskState, told: Message, level: int, blamed: Any = None
    ) -> None:
        if not TASKS.isEnabledFor(level):
            return
        failure = Failure(
            middle_cut(told.get("exception_text") or "", EXCEPTION_LENGTH),
            middle_cut(told.get("traceback_text") or "", TRACEBACK_LENGTH),
            blamed,
            [*self._workers_lost(name_of(ts.key)), *told.get("workers_lost", ())],
        )
        n_characters = len(failure.exception) + len(failure.traceback)
        nbytes = RUN_BYTES + CHARACTER_BYTES * n_characters
        self._put(self._erred, (self._run(ts, told), failure, level), nbytes)

    def _run(self, ts: TaskState, told: Message) -> Run:
        worker = told.get("worker")
        ws = self._scheduler.workers.get(worker or "")
        name = None if ws is None else ws.name
        first = time(), ts.key, ts.group, worker, name, ts.retries, ts.annotations
        return *first, *[told.get(field) for field in TOLD]


def _why_given_up(ts: TaskState) -> Message:
    """Say why upstream gave a task up: it does not write the exception out."""
    if ts.exception_text or not ts.suspicious:
        return {"exception_text": ts.exception_text}
    # One worker was lost just now.
    return {
        "exception_text": f"KilledWorker: workers lost meanwhile: {ts.suspicious}",
        "worker": next(iter(ts.erred_on or ()), None),
        "workers_lost": [*(ts.erred_on or ())],
    }
