"""Stats: what a log holds, counted in bounded memory."""

from __future__ import annotations

from typing import Any

from leandask.reading.histogram import Bins
from leandask.reading.problems import WRONG
from leandask.records.schema import TRANSITION
from leandask.records.text import NAME_LENGTH
from leandask.records.times import milliseconds

#: Names of a kind that are told apart, 150 bytes each; further ones are counted as one.
NAMES = 10_000
OTHERS = "(others)"
#: Spans of time in which records are counted, 100 bytes each.
PERIODS = 1024


class Tally(dict[str, int]):
    """Counts by name, for the first names that come.

    Parameters
    ----------
    limit : int, optional
        Names to tell apart.

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
        """Count one of a name, of which the start counts."""
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
    ...     "timestamp": "2026-11-24T12:00:00.000000Z", "severity": "INFO",
    ...     "scheduler_id": "Scheduler-1"})
    >>> stats.as_dict()["workers_joined"], stats.as_dict()["actions"]
    (1, {'add-worker': 1})
    """

    def __init__(self) -> None:
        #: Records, those with a wrong or missing field, and those of tasks that erred.
        self.records = self.wrong = self.erred = 0
        #: Workers that came, that left, and those that were not expected to leave. An
        #: event has two topics: those under "all" count.
        self.joined = self.left = self.lost = 0
        #: Records that the schedulers say to have dropped.
        self.dropped = 0
        #: Times of the oldest and the newest record.
        self.first = self.last = ""
        self.event_names, self.severities = Tally(), Tally()
        self.topics, self.actions = Tally(), Tally()
        #: States that tasks got into, and records of each scheduler.
        self.states, self.schedulers = Tally(), Tally()
        # In seconds, not milliseconds: no more is counted.
        self._spans = Bins(columns=1, limit=PERIODS)
        self._second, self._row = "", [0]

    def add(self, record: dict[str, Any]) -> None:
        """Count a record.

        Parameters
        ----------
        record : dict
            By the names of the schema.
        """
        self.records += 1
        try:
            self._add(record)
        except WRONG:
            self.wrong += 1

    def _add(self, record: dict[str, Any]) -> None:
        timestamp = record["timestamp"]
        second = timestamp[:19]
        if second != self._second:
            self._row = self._spans.row(milliseconds(second) // 1000)
            self._second = second  # last, as a time may be none
        self._row[0] += 1
        self.first = min(self.first or timestamp, timestamp)
        self.last = max(self.last, timestamp)
        event_name = record["event_name"]
        self.event_names.add(event_name)
        self.severities.add(record["severity"])
        self.schedulers.add(record["scheduler_id"])
        if event_name == TRANSITION:
            self.states.add(record["task_finish"])
            self.erred += record["task_finish"] == "erred"
        elif "topic" in record:
            self._add_event(record)
        self.dropped += record.get("dropped_since_last", 0)

    def _add_event(self, record: dict[str, Any]) -> None:
        topic, action = record["topic"], record.get("action")
        self.topics.add(topic)
        if action is not None:
            self.actions.add(action)
        if topic == "all":
            self.joined += action == "add-worker"
            if action == "remove-worker":
                self.left += 1
                self.lost += record["severity"] == "WARNING"

    def rates(self) -> list[tuple[int, float]]:
        """Return how many records there were over time.

        Returns
        -------
        list of (int, float)
            Milliseconds since the epoch at the start of a span of time, and records per
            second in it. Spans without a record are left out.
        """
        width = self._spans.width
        return [(start * 1000, row[0] / width) for start, row in self._spans.sorted()]

    def as_dict(self) -> dict[str, Any]:
        """Return all counts as plain values.

        Returns
        -------
        dict
        """
        rates = [rate for _, rate in self.rates()]
        return {
            "records": self.records,
            "first": self.first or None,
            "last": self.last or None,
            "records_per_second_max": round(max(rates, default=0.0), 1),
            # Not known where transitions are not recorded.
            "tasks_erred": self.erred if TRANSITION in self.event_names else None,
            "workers_joined": self.joined,
            "workers_left": self.left,
            "workers_lost": self.lost,
            "dropped": self.dropped,
            "wrong": self.wrong,
            "schedulers": dict(self.schedulers),
            "event_names": self.event_names.most(),
            "severities": self.severities.most(),
            "states": self.states.most(),
            "topics": self.topics.most(),
            "actions": self.actions.most(),
        }
