"""RunSummary: what ``run.json`` says of a scheduler, counted from its records."""

from __future__ import annotations

import threading
import time
from typing import Any

from leandask.records.runcounts import RunCounts
from leandask.records.schema import (
    MEMORY_LIMIT_SET,
    MEMORY_PRESSURE,
    SAMPLE,
    STARTED,
    STOPPED,
)
from leandask.records.times import rfc3339

#: Version of the names in ``run.json`` and of their types.
SCHEMA_VERSION = 1
#: Records of the scheduler's memory.
_OF_MEMORY = frozenset({SAMPLE, MEMORY_PRESSURE, MEMORY_LIMIT_SET, STOPPED})


class RunSummary(RunCounts):
    """What a list of runs shows of one, so that it reads no log.

    Parameters
    ----------
    scheduler_id : str
    name : str or None
    labels : dict
    counts_tasks : bool
        Whether there are records of runs of tasks. If not, their counts are null.
    """

    def __init__(
        self,
        scheduler_id: str,
        name: str | None,
        labels: dict[str, str],
        counts_tasks: bool,
    ) -> None:
        super().__init__()
        self._counts_tasks = counts_tasks
        self._fields: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "scheduler_id": scheduler_id,
            "name": name,
            "labels": labels,
            "address": None,
            "dashboard": None,
            "started": rfc3339(time.time()),
            "updated": None,
            "ended": None,
            "reason": None,
            "rss_peak": None,
            "limit": None,
        }
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"<{type(self).__name__} {self._fields['scheduler_id']!r}: "
            f"{counts['finished']} tasks, {counts['erred']} erred>"
        )

    def see(self, record: dict[str, Any]) -> None:
        """Count a record, by the names of the schema."""
        name = record["event_name"]
        if name not in self.counters:  # most are transitions
            return
        with self._lock:
            super().see(record)
            if name in _OF_MEMORY:
                self._note_memory(record)
            if name == STARTED:
                self._fields["started"] = record["timestamp"]
                for field in ("address", "dashboard", "limit"):
                    self._fields[field] = record.get(field)
            elif name == STOPPED:
                self._fields["ended"] = record["timestamp"]
                self._fields["reason"] = record.get("reason")

    def as_dict(self) -> dict[str, Any]:
        """Return what is to be written, with the time of now as ``updated``."""
        with self._lock:
            counts = self.counts
            has_tasks = self._counts_tasks or counts["finished"] or counts["erred"]
            return self._fields | {
                "updated": rfc3339(time.time()),
                "versions": self.versions,
                "tasks": counts["finished"] if has_tasks else None,
                "erred": counts["erred"] if has_tasks else None,
                "workers_max": counts["workers_max"],
                "workers_lost": counts["workers_lost"],
                "dropped": counts["dropped"],
                "exceptions": [*self.exceptions],
                "prefixes": [*self.prefixes],
            }

    def _note_memory(self, record: dict[str, Any]) -> None:
        fields = self._fields
        if rss := record.get("rss"):
            fields["rss_peak"] = max(rss, fields["rss_peak"] or 0)
        if "limit" in record:
            fields["limit"] = record["limit"]
