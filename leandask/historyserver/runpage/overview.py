"""Overview: curves, memory pressure, verdict and configuration of one run.

It needs no more of a run of a task than its time and whether it erred, so that most
lines of a log are not decoded.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import orjson

from leandask.historyserver.runpage import curves
from leandask.historyserver.runpage.curves import Curves
from leandask.historyserver.runpage.departures import Departures
from leandask.historyserver.runpage.wanted import Whole, only
from leandask.reading.lines import InvalidRecord, check, milliseconds_of
from leandask.reading.lives import Lives
from leandask.reading.reader import LogReader
from leandask.records.schema import (
    EVENT,
    MEMORY_LIMIT_SET,
    MEMORY_PRESSURE,
    RETENTION_SET,
    SAMPLE,
    STARTED,
    STOPPED,
    TASK_ERRED,
    TASK_FINISHED,
    TRANSITION,
)
from leandask.records.severity import is_worker_lost
from leandask.records.text import one_line
from leandask.records.times import milliseconds

#: Records of memory pressure, and of settings that changed, that are kept.
PRESSURES, SETTINGS = 50, 20
#: Characters of a text of these records.
TEXT_LENGTH = 500
#: Fields of each record, which say nothing of the configuration.
_COMMON = frozenset(
    {"timestamp", "severity", "severity_number", "logger", "event_name", "seq"}
    | {"schema_version", "scheduler_id", "message"}
)
#: What a line of a task counts as, by its ``event_name``.
_COLUMNS = {
    TASK_FINISHED.encode(): curves.FINISHED,
    TASK_ERRED.encode(): curves.ERRED,
    TRANSITION.encode(): None,
}
_NAME = re.compile(rb'"event_name":"([^"]*)"')


class Overview(Whole):
    """What the first page of a run shows, in bounded memory.

    Parameters
    ----------
    scheduler_id : str
    """

    def __init__(self, scheduler_id: str) -> None:
        super().__init__(scheduler_id)
        self.curves = Curves()
        self.departures = Departures()
        self.n_records = self.n_wrong = 0
        self._is_mine = b'"scheduler_id":%s' % orjson.dumps(scheduler_id)
        self._pressures: deque[dict[str, Any]] = deque(maxlen=PRESSURES)
        self._n_pressures = 0
        self._start: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}
        self._settings: deque[str] = deque(maxlen=SETTINGS)

    def read(self, reader: LogReader) -> dict[str, Any]:
        """Read a log, and return what its page shows as plain JSON values."""
        lives = Lives()
        for record in reader.select(self, lives):
            self.add(record)
        problems = reader.problems
        verdicts = {life.id: how for life, how in lives.killed(reader.quiet_at())}
        return {
            "records": self.n_records,
            "wrong": self.n_wrong,
            "verdict": verdicts.get(self.scheduler_id),
            "problems": {n: c for n, c in problems.counts.items() if c},
            "missing": problems.missing,
            "curves": self.curves.as_dict(),
            "pressures": [*self._pressures],
            "n_pressures": self._n_pressures,
            "start": self._start,
            "stop": self._stop,
            "settings": [*self._settings],
            "workers_joined": self.departures.joined,
            "workers_lost": self.departures.lost,
            "workers_hidden": self.departures.hidden,
        }

    def take(self, block: bytes) -> bytes:
        """Count the lines of tasks, and return the other ones."""
        lines = block.split(b"\n")
        if lines.pop() or self._is_mine not in lines[0]:
            return block
        left = set()
        for i, line in enumerate(lines):
            name = _NAME.search(line)
            try:
                column = _COLUMNS[name[1] if name else b""]
                if column is not None:  # the time is where each line begins
                    self.curves.count(milliseconds(line[14:41].decode()), column)
            except (KeyError, ValueError):  # of no task, or not valid
                left.add(i)
        self.n_records += len(lines) - len(left)
        return only(block, left)

    def add(self, record: dict[str, Any]) -> None:
        """Add a record; one that is not valid is counted."""
        self.n_records += 1
        try:
            self._add(record)
        except (InvalidRecord, KeyError, TypeError, ValueError):
            self.n_wrong += 1

    def _add(self, record: dict[str, Any]) -> None:
        name = record["event_name"]
        if name == TRANSITION:
            return
        if name in (TASK_FINISHED, TASK_ERRED):
            column = curves.ERRED if name == TASK_ERRED else curves.FINISHED
            self.curves.count(milliseconds_of(record), column)
            return
        check(record)
        ms = milliseconds_of(record)
        if name == EVENT:
            if change := self.departures.add(record):
                self.curves.count(ms, curves.WORKERS, change)
                if change < 0 and is_worker_lost(record):
                    self.curves.count(ms, curves.LOST)
        elif name in (SAMPLE, MEMORY_PRESSURE):
            self.curves.sample(ms, record)
            if name == MEMORY_PRESSURE:
                self._n_pressures += 1
                self._pressures.append(
                    plain(record) | {"timestamp": record["timestamp"]}
                )
        elif name == STARTED:
            self._start = plain(record)
        elif name == STOPPED:
            self._stop = plain(record)
        elif name in (RETENTION_SET, MEMORY_LIMIT_SET):
            message = one_line(str(record.get("message")), TEXT_LENGTH)
            self._settings.append(f"{record['timestamp']} {message}")


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record that others do not have, made short."""
    found: dict[str, Any] = {}
    for name, value in [*record.items()][:100]:
        if name in _COMMON:
            continue
        if type(value) is str:
            value = one_line(value, TEXT_LENGTH)
        elif type(value) is list:
            value = [one_line(str(each), TEXT_LENGTH) for each in value[:20]]
        elif type(value) not in (int, float, bool, type(None)):
            continue
        found[one_line(name, 100)] = value
    return found
