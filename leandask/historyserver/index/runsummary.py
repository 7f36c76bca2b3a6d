"""RunSummary: what the list shows of one scheduler, counted as its log grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from leandask.reading.lines import milliseconds_of
from leandask.reading.lives import NOTED, Life, Memory
from leandask.records.runcounts import RunCounts
from leandask.records.schema import TRANSITION


class RunSummary(RunCounts):
    """Counts of one scheduler's run, and what is known of its end.

    Parameters
    ----------
    life : Life
    """

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.life = life
        # The transitions are counted too, for logs without records of runs.
        self.counts |= {"moved_to_memory": 0, "moved_to_erred": 0}

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
        ms = milliseconds_of(record)
        self.life.see(ms)
        name = record["event_name"]
        if name == TRANSITION:
            self.counts["moved_to_memory"] += record["task_finish"] == "memory"
            self.counts["moved_to_erred"] += record["task_finish"] == "erred"
            return
        self.see(record)
        if name in NOTED:
            self.life.note(record, ms)

    def row(self, others: Sequence[Life], quiet_at: int | None) -> dict[str, Any]:
        """Return its fields in the index; the others are as for ``Life.fate``."""
        life = self.life
        state, reason, ended = life.fate(others, quiet_at), life.reason, None
        if state == "killed":
            state, reason = life.how_killed(others)
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
