"""RunSummary: what ``run.json`` says of a scheduler, counted from its records."""

from __future__ import annotations

import threading
import time
from typing import Any

from leandask.records.schema import (
    EVENT,
    MEMORY_LIMIT_SET,
    MEMORY_PRESSURE,
    RECORDS_DROPPED,
    SAMPLE,
    STARTED,
    STOPPED,
    TASK_ERRED,
    TASK_FINISHED,
)
from leandask.records.severity import is_worker_lost
from leandask.records.text import MESSAGE_LENGTH, one_line
from leandask.records.times import rfc3339

#: Version of the names in ``run.json`` and of their types.
SCHEMA_VERSION = 1
#: Exceptions and prefixes of tasks that are named: the first ones.
EXCEPTIONS, PREFIXES = 10, 100

_VERSION = "_version"


class RunSummary:
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
        count = 0 if counts_tasks else None
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
            "versions": {},
            "tasks": count,
            "erred": count,
            "workers_max": 0,
            "workers_lost": 0,
            "rss_peak": None,
            "limit": None,
            "dropped": 0,
        }
        self._exceptions: dict[str, None] = {}  # in their order
        self._prefixes: dict[str, None] = {}
        self._workers = 0
        self._lock = threading.Lock()
        self._see = {
            STARTED: self._see_start,
            STOPPED: self._see_stop,
            TASK_FINISHED: self._see_task,
            TASK_ERRED: self._see_task,
            EVENT: self._see_event,
            SAMPLE: self._see_figures,
            MEMORY_PRESSURE: self._see_figures,
            MEMORY_LIMIT_SET: self._see_figures,
            RECORDS_DROPPED: self._see_figures,
        }

    def __repr__(self) -> str:
        fields = self._fields
        return (
            f"<{type(self).__name__} {fields['scheduler_id']!r}: "
            f"{fields['tasks']} tasks, {fields['erred']} erred>"
        )

    def see(self, record: dict[str, Any]) -> None:
        """Count a record, by the names of the schema."""
        see = self._see.get(record["event_name"])
        if see is not None:
            with self._lock:
                see(record)

    def as_dict(self) -> dict[str, Any]:
        """Return what is to be written, with the time of now as ``updated``."""
        with self._lock:
            return self._fields | {
                "updated": rfc3339(time.time()),
                "exceptions": [*self._exceptions],
                "prefixes": [*self._prefixes],
            }

    def _see_start(self, record: dict[str, Any]) -> None:
        fields = self._fields
        fields["started"] = record["timestamp"]
        for name in ("address", "dashboard", "limit"):
            fields[name] = record.get(name)
        fields["versions"] = {
            name.removesuffix(_VERSION): record[name]
            for name in record
            if name.endswith(_VERSION) and name != "schema_version"
        }

    def _see_stop(self, record: dict[str, Any]) -> None:
        self._fields["ended"] = record["timestamp"]
        self._fields["reason"] = record.get("reason")
        self._see_figures(record)

    def _see_task(self, record: dict[str, Any]) -> None:
        fields = self._fields
        if record["event_name"] == TASK_FINISHED:
            fields["tasks"] = (fields["tasks"] or 0) + 1
        elif blamed := record.get("blamed_key"):  # else it is tried again
            fields["erred"] = (fields["erred"] or 0) + 1
            text = record.get("exception_text")
            if text and blamed == record["task_key"]:
                self._note(self._exceptions, text, EXCEPTIONS)
        self._note(self._prefixes, record["task_prefix"], PREFIXES)

    def _see_event(self, record: dict[str, Any]) -> None:
        if record["topic"] != "all":  # each is also published under the worker's topic
            return
        fields = self._fields
        if record["action"] == "add-worker":
            self._workers += 1
            fields["workers_max"] = max(fields["workers_max"], self._workers)
        elif record["action"] == "remove-worker":
            self._workers = max(self._workers - 1, 0)
            fields["workers_lost"] += is_worker_lost(record)

    def _see_figures(self, record: dict[str, Any]) -> None:
        fields = self._fields
        if rss := record.get("rss"):
            fields["rss_peak"] = max(rss, fields["rss_peak"] or 0)
        if "limit" in record:
            fields["limit"] = record["limit"]
        if "dropped_total" in record:
            fields["dropped"] = record["dropped_total"]
        if workers := record.get("workers"):
            # Counted anew, as an event may have been dropped.
            self._workers = workers
            fields["workers_max"] = max(fields["workers_max"], workers)

    @staticmethod
    def _note(kept: dict[str, None], text: str, most: int) -> None:
        if len(kept) < most and text not in kept:
            kept.setdefault(one_line(text, MESSAGE_LENGTH))
