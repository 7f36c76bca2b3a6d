"""Stats: what a log holds, counted in bounded memory."""

from __future__ import annotations

from typing import Any

from leandask.reading.histogram import Histogram
from leandask.reading.lines import InvalidRecord, check, milliseconds_of
from leandask.reading.lives import Memory, highest, memory_of
from leandask.reading.runs import RunStats
from leandask.records.schema import (
    EVENT,
    MEMORY_PRESSURE,
    RECORDS_DROPPED,
    RUNS,
    SAMPLE,
    TRANSITION,
)
from leandask.records.severity import is_worker_lost
from leandask.records.text import NAME_LENGTH
from leandask.records.times import rfc3339

#: Names of a kind with a count each, 150 bytes each; all further names share one.
NAMES = 10_000
OTHERS = "(others)"
#: Periods of time in which records are counted, 100 bytes each.
PERIODS = 1024


class Tally(dict[str, int]):
    """Counts by name, for the first names up to a limit.

    Parameters
    ----------
    limit : int, optional
        Names with a count each.

    Examples
    --------
    >>> tally = Tally(limit=1)
    >>> for name in ("x", "y", "x", "z"):
    ...     tally.add(name)
    >>> tally
    {'x': 2, '(others)': 2}
    """

    def __init__(self, limit: int = NAMES) -> None:
        super().__init__()
        self._limit = limit

    def add(self, name: str) -> None:
        """Count a name. Long names with the same beginning share a count."""
        name = name[:NAME_LENGTH]
        if name not in self and len(self) >= self._limit:
            name = OTHERS
        self[name] = self.get(name, 0) + 1

    def most(self) -> dict[str, int]:
        """Return the counts, the largest first."""
        return dict(sorted(self.items(), key=lambda item: (-item[1], item[0])))


class LogStats:
    """Counts the records of a log.

    Examples
    --------
    >>> stats = LogStats()
    >>> stats.add({"event_name": "dask.event", "topic": "all", "action": "add-worker",
    ...     "worker": "tcp://127.0.0.1:8000", "client": None, "payload": "{}",
    ...     "timestamp": "2026-11-24T12:00:00.000000Z", "severity": "INFO",
    ...     "severity_number": 9, "schema_version": 1, "scheduler_id": "Scheduler-1",
    ...     "seq": 1})
    >>> stats.as_dict()["workers_joined"], stats.as_dict()["actions"]
    (1, {'add-worker': 1})
    """

    def __init__(self) -> None:
        #: Records, those that break the schema, and transitions into erred.
        self.records = self.wrong = self.erred = 0
        #: Workers that joined, that left, and that left unexpectedly. Each event has
        #: two topics: the one under "all" is counted.
        self.joined = self.left = self.lost = 0
        #: Records that the schedulers report as dropped.
        self.dropped = 0
        #: The highest memory that a scheduler told; None if none did.
        self.peak: Memory | None = None
        #: Times of the oldest and the newest record.
        self.first = self.last = ""
        self.event_names, self.severities = Tally(), Tally()
        self.topics, self.actions = Tally(), Tally()
        #: States after transitions, and records of each scheduler.
        self.states, self.schedulers = Tally(), Tally()
        #: How long tasks ran, and why they erred.
        self.runs = RunStats()
        # In seconds, not milliseconds: that is precise enough.
        self._periods = Histogram(columns=1, limit=PERIODS)
        self._second, self._row = "", [0]

    def add(self, record: dict[str, Any]) -> None:
        """Count a record."""
        self.records += 1
        try:
            self._add(record)
        except (InvalidRecord, KeyError, TypeError):  # a tally takes texts only
            self.wrong += 1

    def _add(self, record: dict[str, Any]) -> None:
        """Count a record, or raise before a part of it is counted."""
        timestamp, event_name = record["timestamp"], record["event_name"]
        is_transition = event_name == TRANSITION
        if not is_transition or not (
            type(record["task_finish"]) is type(record["severity"]) is str
        ):
            check(record)
        is_lost = event_name == EVENT and _is_loss(record)
        if event_name in RUNS:
            self.runs.add(record)
        if event_name in (SAMPLE, MEMORY_PRESSURE):
            found = memory_of(record, milliseconds_of(record))
            self.peak = highest((self.peak, found))
        if event_name != SAMPLE:  # one in 10 s would make the periods wider
            self._count_period(record, timestamp[:19])
        self.first = min(self.first or timestamp, timestamp)
        self.last = max(self.last, timestamp)
        self.event_names.add(event_name)
        self.severities.add(record["severity"])
        self.schedulers.add(record["scheduler_id"])
        if is_transition:
            self.states.add(record["task_finish"])
            self.erred += record["task_finish"] == "erred"
        elif event_name == EVENT:
            self._add_event(record)
            self.lost += is_lost
        elif event_name == RECORDS_DROPPED:
            self.dropped += record["dropped_since_last"]

    def _count_period(self, record: dict[str, Any], second: str) -> None:
        if second != self._second:
            self._row = self._periods.row(milliseconds_of(record) // 1000)
            self._second = second  # last: the line above raises if it is not a time
        self._row[0] += 1

    def _add_event(self, record: dict[str, Any]) -> None:
        topic, action = record["topic"], record["action"]
        self.topics.add(topic)
        if action is not None:
            self.actions.add(action)
        if topic == "all":
            self.joined += action == "add-worker"
            self.left += action == "remove-worker"

    def rates(self) -> list[tuple[int, float]]:
        """Return the start of each period (ms since the epoch), and records per second.

        Periods without a record are left out.
        """
        width = self._periods.width
        return [(start * 1000, row[0] / width) for start, row in self._periods.sorted()]

    def as_dict(self) -> dict[str, Any]:
        """Return all counts as plain values."""
        rates = [rate for _, rate in self.rates()]
        peak = self.peak
        runs = self.runs.as_dict() if self.runs else {}
        return {
            "records": self.records,
            "first": self.first or None,
            "last": self.last or None,
            "records_per_second_max": round(max(rates, default=0.0), 1),
            # Not known if transitions are not recorded.
            "tasks_erred": self.erred if TRANSITION in self.event_names else None,
            "workers_joined": self.joined,
            "workers_left": self.left,
            "workers_lost": self.lost,
            "memory_peak": peak and peak.rss,
            "memory_limit": peak and peak.limit,
            "memory_peak_at": peak and rfc3339(peak.ms / 1000),
            "dropped": self.dropped,
            "wrong": self.wrong,
            "schedulers": dict(self.schedulers),
            "event_names": self.event_names.most(),
            "severities": self.severities.most(),
            "states": self.states.most(),
            "topics": self.topics.most(),
            "actions": self.actions.most(),
            **runs,
        }


def _is_loss(record: dict[str, Any]) -> bool:
    is_leave = record["topic"] == "all" and record["action"] == "remove-worker"
    return is_leave and is_worker_lost(record)
