"""Timeline: what happened over the time of a log."""

from __future__ import annotations

from typing import Any

import orjson

from leandask.reading.histogram import Bins
from leandask.reading.problems import WRONG
from leandask.reading.timeline.columns import (
    AFTER,
    BEFORE,
    DROPPED,
    ERRED,
    LOST,
    MISSING,
    N_COLUMNS,
    WARNED,
    WORKERS,
)
from leandask.reading.timeline.faults import wrong_field
from leandask.reading.timeline.marks import Marks, text_of
from leandask.reading.timeline.schedulers import EXACT, SCHEDULERS, Life
from leandask.reading.timeline.workers import Lanes
from leandask.records.schema import RECORDS_DROPPED, STARTED, STOPPED, TRANSITION
from leandask.records.severity import WARNING_NUMBER
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH
from leandask.records.times import milliseconds

#: Kinds of happenings that are marked, each bounded by ``Marks``.
KINDS = ("erred", "lost", "dropped", "missing", "warned")
#: Remarks that are kept; one takes 1.1 KB at most, so all take 22 KB.
NOTES, NOTE_LENGTH = 20, 250

#: Records of one event that is published under several topics are no further apart
#: than this, in milliseconds.
_TOGETHER = 10


class Timeline:
    """What happened over the time of a log, in bounded memory.

    Notes
    -----
    It takes 30 MB at most, and 3 MB when texts are as usual, whatever the log holds:
    4096 bins, 1000 marks of each of five kinds, lanes of 500 workers, 1000 schedulers.
    What is left out is counted, and the page says so.

    Records may come in any order of time. A scheduler's should come in the order of
    ``seq``, as in the file; the records of several may be mixed.

    Examples
    --------
    >>> timeline = Timeline()
    >>> timeline.add({"event_name": "dask.scheduler.start", "seq": 1,
    ...     "timestamp": "2026-01-01T00:00:00.000000Z", "scheduler_id": "Scheduler-1"})
    >>> timeline.note("3 lines could not be read")
    >>> timeline
    <Timeline: 1 records, 1 schedulers, 1/4096 bins of 1 ms>
    """

    def __init__(self) -> None:
        #: Records taken, those of loggers that are no scheduler's, and those with a
        #: wrong field by its name.
        self.n_records = self.n_foreign = 0
        self.wrong: dict[str, int] = {}
        #: Remarks about the log, and how many there were.
        self.notes: list[str] = []
        self.n_notes = 0
        #: What is counted, in the columns of :mod:`leandask.timeline.columns`.
        self.bins = Bins(N_COLUMNS)
        #: Schedulers by their id, in the order of the log.
        self.lives: dict[str, Life] = {}
        #: Schedulers that were settled, as there were too many.
        self.n_settled = 0
        self.lanes = Lanes()
        self.marks = {kind: Marks() for kind in KINDS}
        self._erred = self.marks["erred"]
        # Where the last record went. Thousands come within one millisecond, which the
        # first 23 characters of their time name.
        self._stamp = ""
        self._ms = 0
        self._row: list[int] = []
        self._life = Life("", 0)
        # Time, topic and beginning of the payload of the last warning.
        self._warned: tuple[int, Any, str] = (0, None, "")

    def add(self, record: dict[str, Any]) -> None:
        """Take a record.

        Parameters
        ----------
        record : dict
            Fields of the schema by name. What is wrong with it is counted by field.
        """
        self.n_records += 1
        try:
            stamp = record["timestamp"][:23]
            life = self._life
            if stamp != self._stamp or record["scheduler_id"] != life.id:
                life = self._move(record, stamp)
            if record["seq"] == life.seq + 1:
                life.seq += 1
            else:
                self._number(life, record["seq"])
            if record["event_name"] != TRANSITION:
                self._event(life, record)
                return
            before = BEFORE[record["task_start"]]
            after, flow = AFTER[record["task_finish"]]
            counts = life.counts
            counts[before] = count = counts[before] - 1
            if count < life.low[before]:
                life.low[before] = count
            counts[after] = count = counts[after] + 1
            if count > life.high[after]:
                life.high[after] = count
            row = self._row
            row[before] -= 1
            row[after] += 1
            row[flow] += 1
            if flow == ERRED:
                self._erred.add(self._ms, record.get("task_key"), record.get("message"))
        except WRONG:
            self._refuse(record)

    def note(self, text: str) -> None:
        """Take a remark about the log, to be shown on the page.

        Parameters
        ----------
        text : str
        """
        self.n_notes += 1
        if len(self.notes) < NOTES:
            self.notes.append(text_of(text, NOTE_LENGTH))

    def settled(self) -> Bins:
        """Return the bins, with what was there before the log and what ended.

        Returns
        -------
        Bins
        """
        bins, lives = self.bins.copy(), [*self.lives.values()]
        for life in lives:
            life.settle(bins, None if life.goes_on(lives) else life.end(lives))
        return bins

    def _move(self, record: dict[str, Any], stamp: str) -> Life:
        text, scheduler_id = record["timestamp"], record["scheduler_id"]
        if type(text) is not str or type(scheduler_id) is not str:
            raise TypeError
        scheduler_id = scheduler_id[:NAME_LENGTH]
        ms = milliseconds(text)
        life = self.lives.get(scheduler_id)
        if life is None:
            life = self.lives[scheduler_id] = Life(scheduler_id, ms)
            self.lanes.forsake(life)
            if len(self.lives) > SCHEDULERS:
                oldest = next(iter(self.lives.values()))
                oldest.settle(self.bins, oldest.end([*self.lives.values()]))
                del self.lives[oldest.id]
                self.n_settled += 1
        elif ms > life.last:
            life.last = ms
        elif ms < life.first:
            life.first = ms
        self._row = self.bins.row(ms)
        self._stamp, self._ms, self._life = stamp, ms, life
        return life

    def _number(self, life: Life, seq: object) -> None:
        if missing := life.number(seq):
            self._row[MISSING] += missing
            self.marks["missing"].add(
                self._ms, life.id, f"{missing} records are missing before seq {seq}"
            )

    def _event(self, life: Life, record: dict[str, Any]) -> None:
        event_name, message = record["event_name"], record.get("message")
        if event_name == STARTED:
            life.started = self._ms
            life.about = text_of(record.get("address"), NAME_LENGTH)
        elif event_name == STOPPED:
            life.stopped = self._ms
            life.reason = text_of(record.get("reason"), MESSAGE_LENGTH)
        elif event_name == RECORDS_DROPPED:
            dropped = record["dropped_since_last"]
            if type(dropped) is not int or not 0 <= dropped < EXACT:
                raise ValueError
            self._row[DROPPED] += dropped
            self.marks["dropped"].add(self._ms, life.id, message)
        elif record.get("action") == "add-worker":
            if record["topic"] == "all":
                self._join(life, record)
        elif record.get("action") == "remove-worker":
            if record["topic"] == "all":
                self._leave(life, record)
        elif record.get("severity_number", 0) >= WARNING_NUMBER:
            self._warn(record)

    def _join(self, life: Life, record: dict[str, Any]) -> None:
        worker = _worker(record)
        life.change(WORKERS, 1)
        self._row[WORKERS] += 1
        self.lanes.join(worker, life, self._ms)

    def _leave(self, life: Life, record: dict[str, Any]) -> None:
        worker = _worker(record)
        # A payload that was cut may have lost the word; then the level tells.
        lost = record.get("severity_number", 0) >= WARNING_NUMBER
        if not lost and '"expected"' in record["payload"]:
            lost = orjson.loads(record["payload"]).get("expected") is False
        life.change(WORKERS, -1)
        self._row[WORKERS] -= 1
        self.lanes.leave(worker, life, self._ms, lost)
        if lost:
            self._row[LOST] += 1
            self.marks["lost"].add(self._ms, worker, record.get("message"))

    def _warn(self, record: dict[str, Any]) -> None:
        topic = text_of(record.get("topic"), NAME_LENGTH)
        payload = text_of(record.get("payload"), 1000)
        ms, last_topic, last_payload = self._warned
        again = payload and payload == last_payload and topic != last_topic
        if again and abs(self._ms - ms) <= _TOGETHER:
            return  # the same event under its next topic
        self._warned = self._ms, topic, payload
        self._row[WARNED] += 1
        self.marks["warned"].add(
            self._ms, topic or record.get("logger"), record.get("message")
        )

    def _refuse(self, record: Any) -> None:
        field = wrong_field(record)
        if field == "scheduler_id" and record.get(field) is None:
            self.n_foreign += 1  # another logger writes to the same file
            severity = record.get("severity_number")
            if type(severity) is int and severity >= WARNING_NUMBER:
                self._stamp = ""  # its row may be no more
                self._ms = milliseconds(record["timestamp"])
                self._row = self.bins.row(self._ms)
                self._warn(record)
        else:
            self.wrong[field] = self.wrong.get(field, 0) + 1

    def __repr__(self) -> str:
        return (
            f"<Timeline: {self.n_records} records, {len(self.lives)} schedulers, "
            f"{len(self.bins.rows)}/{self.bins.limit} bins of {self.bins.width} ms>"
        )


def _worker(record: dict[str, Any]) -> str:
    worker = record["worker"]
    if type(worker) is not str:
        raise TypeError
    return worker[:NAME_LENGTH]
