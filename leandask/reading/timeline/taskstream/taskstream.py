"""TaskStream: which worker ran which task, and when."""

from __future__ import annotations

from typing import Any

from leandask.reading.runs import OTHERS, PREFIXES, RunStats
from leandask.reading.taskruns import TaskRun, run_of
from leandask.reading.timeline.taskstream.details import Details
from leandask.reading.timeline.taskstream.rows import Rows, microseconds_of


class TaskStream:
    """The runs of tasks that a log tells of, in bounded memory.

    Notes
    -----
    It takes 240 MB at most, whatever the log holds, and 90 MB for a million runs: 2**20
    spans of runs (57 MB, and as much again while those of one thread are merged), the
    keys of 50,000 runs (65 MB at most), 4000 rows (20 MB at most), and figures by
    prefix, worker and error (20 MB at most). What is merged or left out is counted.

    Examples
    --------
    >>> tasks = TaskStream()
    >>> run = tasks.add({"event_name": "dask.task.finished", "task_key": "inc-1",
    ...     "timestamp": "2026-01-01T00:00:01.000000Z", "scheduler_id": "Scheduler-1",
    ...     "task_prefix": "inc", "worker": "tcp://127.0.0.1:8000", "worker_thread": 7,
    ...     "run_start": "2026-01-01T00:00:00.000000Z", "compute_seconds": 0.25})
    >>> tasks
    <TaskStream: 1 runs of 1 prefixes, <Rows: 1/4000, 1/1048576 spans>>
    """

    def __init__(self) -> None:
        self.rows = Rows()
        self.details = Details()
        #: How long tasks ran, and why they erred.
        self.stats = RunStats()
        #: Numbers of the prefixes, as the spans have them.
        self.prefixes: dict[str, int] = {}
        #: All runs, and those that erred.
        self.runs = self.erred = 0
        #: Tasks that erred because of another one, and so did not run.
        self.blamed = 0
        #: Runs of which no start is known, as their worker was lost.
        self.unseen = 0
        #: Earliest start of what belongs to a run, in microseconds since the epoch.
        self.start: int | None = None

    def add(self, record: dict[str, Any]) -> TaskRun:
        """Add the record of a run and return that, or raise InvalidRecord."""
        run = run_of(record)
        if run.blames_another:
            self.blamed += 1
            return run
        self.stats.add_run(run)
        self.runs += 1
        is_erred = run.status == "erred"
        self.erred += is_erred
        prefix = self._number(run.prefix)
        if run.start is None:
            self.unseen += 1
            return run
        start = round(run.start * 1e6)
        before = start - sum(
            map(microseconds_of, (run.transfer, run.disk, run.deserialize))
        )
        self.start = before if self.start is None else min(self.start, before)
        self.rows.add(run, start, 2 * prefix + is_erred)
        self.details.add(run, start)
        return run

    def _number(self, prefix: str) -> int:
        """Return the number of a prefix; those beyond the limit share one."""
        number = self.prefixes.get(prefix)
        if number is None:
            if len(self.prefixes) >= PREFIXES:
                prefix = OTHERS
            number = self.prefixes.setdefault(prefix, len(self.prefixes))
        return number

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.runs} runs of {len(self.prefixes)} "
            f"prefixes, {self.rows!r}>"
        )
