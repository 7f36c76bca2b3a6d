"""Digest: all that the page of a run shows at once, from one pass over its log."""

from __future__ import annotations

from collections import deque
from typing import Any

from leandask.historyserver.runpage import curves
from leandask.historyserver.runpage.curves import Curves
from leandask.historyserver.runpage.departures import Departures
from leandask.reading.filter import Filter
from leandask.reading.lines import InvalidRecord, check, milliseconds_of
from leandask.reading.lives import Lives
from leandask.reading.matching import is_worker_lost, needles_of
from leandask.reading.reader import LogReader
from leandask.reading.runs import RunStats
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
from leandask.records.text import one_line

#: Records of memory pressure, and of settings that changed, that are kept.
PRESSURES, SETTINGS = 50, 20
#: Characters of a text of these records.
TEXT_LENGTH = 500
#: Fields of each record, which say nothing of the configuration.
_COMMON = frozenset(
    {"timestamp", "severity", "severity_number", "logger", "event_name", "seq"}
    | {"schema_version", "scheduler_id", "message"}
)


class OfScheduler(Filter):
    """Wants the records of one scheduler that match all parameters.

    Parameters
    ----------
    scheduler_id : str
    before : int, optional
        Number of a record: only older ones are wanted.
    **filters
        As for :class:`Filter`.
    """

    def __init__(self, scheduler_id: str, before: int = 0, **filters: Any) -> None:
        super().__init__(**filters)
        self._scheduler_id = scheduler_id
        self._before = before
        self._is_for_samples = "event_name" in filters
        self.needles = self.needles or needles_of("scheduler_id", [scheduler_id])

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        return (
            record["scheduler_id"] == self._scheduler_id
            and (not self._before or record["seq"] < self._before)
            and (self._is_for_samples or record["event_name"] != SAMPLE)
            and super().matches(record)
        )


class Whole(OfScheduler):
    """Wants all records of a scheduler, also samples."""

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        return bool(record["scheduler_id"] == self._scheduler_id)


class Digest:
    """Figures of one run, in bounded memory.

    Parameters
    ----------
    scheduler_id : str
    """

    def __init__(self, scheduler_id: str) -> None:
        self.scheduler_id = scheduler_id
        self.stats = RunStats()
        self.curves = Curves()
        self.departures = Departures()
        self.n_records = self.n_wrong = 0
        self._pressures: deque[dict[str, Any]] = deque(maxlen=PRESSURES)
        self._n_pressures = 0
        self._start: dict[str, Any] = {}
        self._stop: dict[str, Any] = {}
        self._settings: deque[str] = deque(maxlen=SETTINGS)

    def read(self, reader: LogReader) -> dict[str, Any]:
        """Read a log, and return what its page shows as plain JSON values."""
        lives = Lives()
        for record in reader.select(Whole(self.scheduler_id), lives):
            self.add(record)
        problems = reader.problems
        verdicts = {life.id: how for life, how in lives.killed(reader.quiet_at())}
        stats = self.stats.as_dict()
        return {
            "overview": {
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
            },
            "tasks": [{"prefix": n} | of for n, of in stats["prefixes"].items()],
            "errors": stats["errors"],
            "workers": self._workers(stats["workers"]),
        }

    def _workers(self, figures: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a row of each worker: its stay, and what it ran."""
        rows = self.departures.rows()
        known = {row["address"] for row in rows}
        others = [{"address": address} for address in figures if address not in known]
        return [row | figures.get(row["address"], {}) for row in rows + others]

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
            self.stats.add(record)
            is_erred = name == TASK_ERRED
            column = curves.ERRED if is_erred else curves.FINISHED
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
