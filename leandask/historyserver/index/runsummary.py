"""RunSummary: what the list shows of one scheduler, counted as its log grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from leandask.reading.lines import EXACT, milliseconds_of
from leandask.reading.lives import NOTED, Life, Memory
from leandask.records.schema import (
    EVENT,
    SAMPLE,
    STARTED,
    TASK_ERRED,
    TASK_FINISHED,
    TRANSITION,
)
from leandask.records.severity import is_worker_lost
from leandask.records.text import NAME_LENGTH, one_line

#: Prefixes and texts of exceptions that are kept of a run, and characters of one.
PREFIXES, EXCEPTIONS, EXCEPTION_LENGTH = 100, 10, 200
#: Fields of the start that tell versions, after their package.
_VERSION = "_version"
#: Counts of a run.
COUNTS = (
    *("finished", "erred", "moved_to_memory", "moved_to_erred"),
    *("workers", "workers_max", "workers_lost", "dropped"),
)


class RunSummary:
    """Counts of one scheduler's run.

    Parameters
    ----------
    life : Life
    """

    def __init__(self, life: Life) -> None:
        self.life = life
        #: By the names of :data:`COUNTS`. Runs of tasks are finished or erred; the
        #: transitions are counted too, for logs without records of runs.
        self.counts = dict.fromkeys(COUNTS, 0)
        self.versions: dict[str, str] = {}
        #: Sets in the order of the log.
        self.prefixes: dict[str, None] = {}
        self.exceptions: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.life.id!r}: {self.tasks} tasks>"

    @property
    def tasks(self) -> int:
        """Runs of tasks that finished."""
        return max(self.counts["finished"], self.counts["moved_to_memory"])

    @property
    def erred(self) -> int:
        """Tasks that erred."""
        return max(self.counts["erred"], self.counts["moved_to_erred"])

    def add(self, record: dict[str, Any]) -> None:
        """Count a record.

        Raises
        ------
        InvalidRecord, KeyError, TypeError
            If it is not valid.
        """
        ms, counts = milliseconds_of(record), self.counts
        self.life.see(ms)
        name = record["event_name"]
        if name == TASK_FINISHED:
            counts["finished"] += 1
            self._see_prefix(record)
        elif name == TASK_ERRED:
            if "blamed_key" in record:  # else it is tried again
                counts["erred"] += 1
                self._see_prefix(record)
            text = record.get("exception_text")
            if type(text) is str and len(self.exceptions) < EXCEPTIONS:
                self.exceptions[one_line(text, EXCEPTION_LENGTH)] = None
        elif name == TRANSITION:
            counts["moved_to_memory"] += record["task_finish"] == "memory"
            counts["moved_to_erred"] += record["task_finish"] == "erred"
        elif name == EVENT:
            if record["topic"] == "all":
                self._count_worker(record)
        else:
            self._note(name, record, ms)

    def _see_prefix(self, record: dict[str, Any]) -> None:
        prefix = record.get("task_prefix")
        if type(prefix) is str and len(self.prefixes) < PREFIXES:
            self.prefixes[one_line(prefix, NAME_LENGTH)] = None

    def _count_worker(self, record: dict[str, Any]) -> None:
        counts = self.counts
        if record["action"] == "add-worker":
            counts["workers"] += 1
            counts["workers_max"] = max(counts["workers_max"], counts["workers"])
        elif record["action"] == "remove-worker":
            counts["workers"] = max(counts["workers"] - 1, 0)
            counts["workers_lost"] += is_worker_lost(record)

    def _note(self, name: str, record: dict[str, Any], ms: int) -> None:
        counts = self.counts
        if name in NOTED:
            self.life.note(record, ms)
        if name == STARTED:
            self.versions = {
                field.removesuffix(_VERSION): one_line(str(value), 50)
                for field, value in [*record.items()][:50]
                if field.endswith(_VERSION) and field != f"schema{_VERSION}"
            }
        elif name == SAMPLE and type(n := record.get("workers")) is int:
            counts["workers_max"] = max(counts["workers_max"], min(n, EXACT))
        if type(n := record.get("dropped_total")) is int and 0 <= n < EXACT:
            counts["dropped"] = max(counts["dropped"], n)

    def row(self, others: Sequence[Life], quiet_at: int | None) -> dict[str, Any]:
        """Return its fields in the index; the others are as for ``Life.fate``."""
        life = self.life
        state, reason, ended = life.fate(others, quiet_at), life.reason, None
        if state == "killed":
            reason = life.verdict(others)
            if "memory" in reason:
                state = "killed-memory"
        if state != "running":
            ended = life.end(others) / 1000
        peak = life.peak
        return {
            "scheduler_id": life.id,
            "address": life.address,
            "started": (life.first if life.started is None else life.started) / 1000,
            "updated": life.last / 1000,
            "ended": ended,
            "state": state,
            "reason": reason,
            "tasks": self.tasks,
            "erred": self.erred,
            "workers_max": self.counts["workers_max"],
            "workers_lost": self.counts["workers_lost"],
            "rss_peak": peak and peak.rss,
            "rss_limit": peak and peak.limit,
            "dropped": self.counts["dropped"],
            "versions": self.versions,
            "exceptions": [*self.exceptions],
            "prefixes": [*self.prefixes],
        }

    def dumps(self) -> str:
        """Return its counts as a text, from which :meth:`loads` goes on."""
        life = {name: getattr(self.life, name) for name in Life.__slots__}
        parts = (life, self.counts, self.versions, self.prefixes, self.exceptions)
        return json.dumps(parts)

    @classmethod
    def loads(cls, text: str) -> RunSummary:
        """Return the counts that :meth:`dumps` wrote."""
        fields, counts, versions, prefixes, exceptions = json.loads(text)
        life = Life(fields["id"], fields["first"])
        for name, value in fields.items():
            if name in ("memory", "peak") and value is not None:
                value = Memory(*value)
            setattr(life, name, value)
        summary = cls(life)
        summary.counts.update(counts)
        summary.versions = versions
        summary.prefixes, summary.exceptions = prefixes, exceptions
        return summary
