"""Timeline: what happened over the time of a log."""

from __future__ import annotations

from typing import Any

from leandask.reading.histogram import Histogram
from leandask.reading.lines import InvalidRecord, check, milliseconds_of
from leandask.reading.lives import NOTED
from leandask.reading.timeline.columns import (
    AFTER,
    BEFORE,
    DROPPED,
    ERRED,
    FAILED,
    LOST,
    MISSING,
    N_COLUMNS,
    WARNED,
    WORKERS,
)
from leandask.reading.timeline.marks import Marks, Warned
from leandask.reading.timeline.memory import MemoryCurves
from leandask.reading.timeline.schedulers import SCHEDULERS, SchedulerRun
from leandask.reading.timeline.taskstream.taskstream import TaskStream
from leandask.reading.timeline.workers import Workers, worker_of
from leandask.reading.words import text_of
from leandask.records.schema import (
    EVENT,
    RECORDS_DROPPED,
    RUNS,
    SAMPLE,
    TRANSITION,
)
from leandask.records.severity import WARNING_NUMBER, is_worker_lost
from leandask.records.text import NAME_LENGTH

#: Kinds of incidents that are marked, each bounded by ``Marks``.
KINDS = ("erred", "failed", "lost", "dropped", "missing", "warned")
#: Remarks to keep; one takes 1.1 KB at most, so all take 22 KB.
NOTES, NOTE_LENGTH = 20, 250

#: Milliseconds within which the records of one event come, one for each of its topics.
_TOGETHER = 10


class Timeline:
    """What happened over the time of a log, in bounded memory.

    Notes
    -----
    It takes 34 MB at most, and 3 MB with texts of usual length, whatever the log holds:
    4096 bins, 1000 marks of each of six kinds, lanes of 500 workers, 1000 schedulers.
    The runs of tasks take 240 MB at most, see :class:`TaskStream`.
    What is left out is counted, and the page says so.

    Records may come in any order of time. Those of one scheduler should come in the
    order of ``seq``, as in the file; records of several schedulers may be mixed.

    Examples
    --------
    >>> timeline = Timeline()
    >>> timeline.add({"event_name": "dask.scheduler.start", "seq": 1,
    ...     "timestamp": "2026-01-01T00:00:00.000000Z", "scheduler_id": "Scheduler-1",
    ...     "severity": "INFO", "severity_number": 9, "schema_version": 1})
    >>> timeline.note("3 lines could not be read")
    >>> timeline
    <Timeline: 1 records, 1 schedulers, 1/4096 bins of 1 ms>
    """

    def __init__(self) -> None:
        #: Records added, those of other loggers, and invalid ones by the wrong field.
        self.n_records = self.n_foreign = 0
        self.wrong: dict[str, int] = {}
        #: The first remarks about the log, and how many there were.
        self.notes: list[str] = []
        self.n_notes = 0
        #: Counts, in the columns of :mod:`leandask.reading.timeline.columns`.
        self.histogram = Histogram(N_COLUMNS)
        #: Schedulers by their id, in the order of the log.
        self.schedulers: dict[str, SchedulerRun] = {}
        #: Schedulers that were settled because there were too many.
        self.n_settled = 0
        self.workers = Workers()
        self.memory = MemoryCurves()
        #: Runs of tasks, if they were recorded.
        self.tasks = TaskStream()
        #: A time at which no process wrote to the log, in milliseconds since the epoch;
        #: None if one may write to it.
        self.quiet_at: int | None = None
        self.marks = {kind: Marks() for kind in KINDS}
        self._erred = self.marks["erred"]
        # Where the last record went. Thousands come within one millisecond, which the
        # first 23 characters of their time name.
        self._stamp = ""
        self._ms = 0
        self._row: list[int] = []
        self._run = SchedulerRun("", 0)
        self._warned = Warned(0, "", "")

    def add(self, record: dict[str, Any]) -> None:
        """Add a record; one that is not valid is counted by its wrong field."""
        self.n_records += 1
        try:
            self._add(record)
        except InvalidRecord as e:
            if e.field != "scheduler_id" or record.get(e.field) is not None:
                self.wrong[e.field] = self.wrong.get(e.field, 0) + 1
            else:
                self._add_foreign(record)

    def _add(self, record: dict[str, Any]) -> None:
        run = self._run
        try:
            # This runs for every record. Most are the next one of the same millisecond:
            # fields that equal the expected ones need no check.
            is_next = (
                record["timestamp"][:23] == self._stamp
                and record["seq"] == run.sequence.next
                and record["scheduler_id"] == run.id
            )
            is_transition = record["event_name"] == TRANSITION
        except (KeyError, TypeError):
            is_next = is_transition = False
        if is_next:
            run.sequence.next += 1
        else:
            check(record)
            run = self._move(record)
            if (missing := run.sequence.step(record["seq"])) > 0:
                self._row = self.histogram.row(self._ms)
                self._row[MISSING] += missing
                text = f"{missing} records are missing before seq {record['seq']}"
                self.marks["missing"].add(self._ms, run.id, text)
        if not is_transition:
            if is_next:
                check(record)
            self._add_event(run, record)
            return
        try:
            before = BEFORE[record["task_start"]]
            after, flow = AFTER[record["task_finish"]]
        except (KeyError, TypeError):
            check(record)
            is_start = record["task_start"] not in BEFORE
            field = "task_start" if is_start else "task_finish"
            raise InvalidRecord(field, f"{field} is not a known state") from None
        counts = run.counts
        counts[before] = count = counts[before] - 1
        if count < run.low[before]:
            run.low[before] = count
        counts[after] = count = counts[after] + 1
        if count > run.high[after]:
            run.high[after] = count
        row = self._row
        row[before] -= 1
        row[after] += 1
        row[flow] += 1
        if flow == ERRED:
            self._erred.add(self._ms, record.get("task_key"), record.get("message"))

    def note(self, text: str) -> None:
        """Add a remark about the log, to be shown on the page."""
        self.n_notes += 1
        if len(self.notes) < NOTES:
            self.notes.append(text_of(text, NOTE_LENGTH))

    def settled(self) -> Histogram:
        """Return the counts with the levels before the log, and 0 after each end."""
        histogram, runs = self.histogram.copy(), [*self.schedulers.values()]
        for run in runs:
            is_running = run.fate(runs, self.quiet_at) == "running"
            run.settle(histogram, None if is_running else run.end(runs))
        return histogram

    def _move(self, record: dict[str, Any]) -> SchedulerRun:
        """Go to the bin and the scheduler of a record."""
        stamp, scheduler_id = record["timestamp"][:23], record["scheduler_id"]
        if stamp == self._stamp and scheduler_id == self._run.id:
            return self._run
        scheduler_id, ms = scheduler_id[:NAME_LENGTH], milliseconds_of(record)
        run = self.schedulers.get(scheduler_id)
        if run is None:
            run = self.schedulers[scheduler_id] = SchedulerRun(scheduler_id, ms)
            self.workers.start(run)
            if len(self.schedulers) > SCHEDULERS:
                oldest = next(iter(self.schedulers.values()))
                end = oldest.end([*self.schedulers.values()])
                oldest.settle(self.histogram, end)
                del self.schedulers[oldest.id]
                self.memory.forget(oldest.id)
                self.n_settled += 1
        else:
            run.see(ms)
        self._ms, self._run = ms, run
        if record["event_name"] == SAMPLE:  # one in 10 s would make the bins wider
            self._stamp = ""
        else:
            self._row, self._stamp = self.histogram.row(ms), stamp
        return run

    def _add_event(self, run: SchedulerRun, record: dict[str, Any]) -> None:
        event_name = record["event_name"]
        action = record["action"] if event_name == EVENT else None
        if event_name in NOTED and (memory := run.note(record, self._ms)) is not None:
            self.memory.add(run.id, memory)
        if event_name in RUNS:
            self._add_task(record)
        elif event_name == RECORDS_DROPPED:
            self._row[DROPPED] += record["dropped_since_last"]
            self.marks["dropped"].add(self._ms, run.id, record.get("message"))
        elif action == "add-worker":
            if record["topic"] == "all":
                self._join(run, record)
        elif action == "remove-worker":
            if record["topic"] == "all":
                self._leave(run, record)
        elif record["severity_number"] >= WARNING_NUMBER and event_name != SAMPLE:
            self._warn(record)

    def _add_task(self, record: dict[str, Any]) -> None:
        run = self.tasks.add(record)
        if run.status == "erred" and not run.is_tried_again:
            self._row[FAILED] += 1
            reason = run.exception_text or record.get("message")
            self.marks["failed"].add(self._ms, run.key, reason)

    def _join(self, run: SchedulerRun, record: dict[str, Any]) -> None:
        worker = worker_of(record)
        run.change(WORKERS, 1)
        self._row[WORKERS] += 1
        self.workers.join(worker, run, self._ms)

    def _leave(self, run: SchedulerRun, record: dict[str, Any]) -> None:
        worker = worker_of(record)
        lost = is_worker_lost(record)
        run.change(WORKERS, -1)
        self._row[WORKERS] -= 1
        self.workers.leave(worker, run, self._ms, lost)
        if lost:
            self._row[LOST] += 1
            self.marks["lost"].add(self._ms, worker, record.get("message"))

    def _warn(self, record: dict[str, Any]) -> None:
        topic = text_of(record.get("topic"), NAME_LENGTH)
        payload = text_of(record.get("payload"), 1000)
        last = self._warned
        again = payload and payload == last.payload and topic != last.topic
        if again and abs(self._ms - last.ms) <= _TOGETHER:
            return  # the same event under its next topic
        self._warned = Warned(self._ms, topic, payload)
        self._row[WARNED] += 1
        self.marks["warned"].add(
            self._ms, topic or record.get("logger"), record.get("message")
        )

    def _add_foreign(self, record: dict[str, Any]) -> None:
        """Count a record of another logger, which writes to the same file."""
        self.n_foreign += 1
        severity = record.get("severity_number")
        if type(severity) is not int or severity < WARNING_NUMBER:
            return
        try:
            ms = milliseconds_of(record)
        except InvalidRecord:
            return
        self._stamp = ""  # its row may no longer exist
        self._ms, self._row = ms, self.histogram.row(ms)
        self._warn(record)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.n_records} records, "
            f"{len(self.schedulers)} schedulers, {len(self.histogram.rows)}/"
            f"{self.histogram.limit} bins of {self.histogram.width} ms>"
        )
