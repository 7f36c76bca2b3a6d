"""TaskStream: which worker ran which task, and when."""

from __future__ import annotations

from typing import Any

from leandask.reading.timeline.taskstream.details import Details
from leandask.reading.timeline.taskstream.rows import Rows
from leandask.reading.timeline.taskstream.run import Run, run_of
from leandask.reading.timeline.taskstream.totals import (
    PREFIXES,
    WORKERS,
    Errors,
    Total,
    Totals,
)


class TaskStream:
    """The runs of tasks that a log tells of, in bounded memory.

    Notes
    -----
    It takes 220 MB at most, whatever the log holds, and 90 MB for a million runs: 2**20
    spans of runs (57 MB, and as much again while those of one thread are merged), the
    keys of 50,000 runs (65 MB at most), 4000 rows (20 MB at most), and the totals of
    1000 prefixes and 1000 workers. What is merged or left out is counted.

    Examples
    --------
    >>> tasks = TaskStream()
    >>> run = tasks.add({"event_name": "dask.task.finished", "task_key": "inc-1",
    ...     "task_prefix": "inc", "worker": "tcp://127.0.0.1:8000", "thread": 7,
    ...     "run_start": "2026-01-01T00:00:00.000000Z", "compute_seconds": 0.25})
    >>> tasks
    <TaskStream: 1 runs of 1 prefixes, <Rows: 1/4000, 1/1048576 spans>>
    """

    def __init__(self) -> None:
        self.rows = Rows()
        self.details = Details()
        self.prefixes = Totals(PREFIXES)
        self.workers = Totals(WORKERS)
        self.errors = Errors()
        #: All runs.
        self.total = Total("")
        #: Tasks that erred because of another one, and so did not run.
        self.blamed = 0
        #: Runs of which no start is known, as their worker was lost.
        self.unseen = 0
        #: Earliest start of what belongs to a run, in microseconds since the epoch.
        self.start: int | None = None

    def add(self, record: dict[str, Any]) -> Run:
        """Add the record of a run and return that, or raise InvalidRecord."""
        run = run_of(record)
        if run.is_erred and not run.worker and run.blamed not in ("", run.key):
            self.blamed += 1
            return run
        if run.is_erred:
            self.errors.add(run)
        self.total.add(run)
        self.workers.add(run.worker, run.worker_name, run)
        prefix = self.prefixes.add(run.prefix, run.prefix, run)
        if run.start is None:
            self.unseen += 1
            return run
        start = run.start
        before = start - run.transfer - run.disk - run.deserialize
        self.start = before if self.start is None else min(self.start, before)
        self.rows.add(run, start, prefix)
        self.details.add(run, start)
        return run

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.total.runs} runs of "
            f"{len(self.prefixes.all())} prefixes, {self.rows!r}>"
        )
