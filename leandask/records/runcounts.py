"""RunCounts: what a list of runs shows of one scheduler, counted from its records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

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
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line

#: Exceptions and prefixes of tasks that are named: the first ones.
EXCEPTIONS, PREFIXES = 10, 100
#: Fields of the start that tell versions, after their package; and how many are kept.
_VERSION, _VERSIONS = "_version", 50
#: Numbers from which on something else was recorded than a count.
_TOO_LARGE = 2**53


class RunCounts:
    """The counts of one scheduler's run.

    A record of a log may have values of other types: these count for nothing.
    """

    def __init__(self) -> None:
        #: Runs of tasks that finished, tasks that erred, workers now, the most at a
        #: time and those that were lost, and records that were dropped.
        self.counts = dict.fromkeys(
            ("finished", "erred", "workers", "workers_max", "workers_lost", "dropped"),
            0,
        )
        self.versions: dict[str, str] = {}
        #: Sets in the order of the records.
        self.prefixes: dict[str, None] = {}
        self.exceptions: dict[str, None] = {}

    def see(self, record: dict[str, Any]) -> None:
        """Count a record, by the names of the schema.

        Raises
        ------
        KeyError, TypeError
            If it is not valid.
        """
        count = self.counters.get(record["event_name"])
        if count is not None:
            count(self, record)

    def _see_start(self, record: dict[str, Any]) -> None:
        self.versions = {
            name.removesuffix(_VERSION): one_line(str(value), 50)
            for name, value in [*record.items()][:_VERSIONS]
            if name.endswith(_VERSION) and name != f"schema{_VERSION}"
        }

    def _see_finished(self, record: dict[str, Any]) -> None:
        self.counts["finished"] += 1
        _note(self.prefixes, record.get("task_prefix"), PREFIXES, NAME_LENGTH)

    def _see_erred(self, record: dict[str, Any]) -> None:
        if blamed := record.get("blamed_key"):  # else it is tried again
            self.counts["erred"] += 1
            if blamed == record.get("task_key"):
                text = record.get("exception_text")
                _note(self.exceptions, text, EXCEPTIONS, MESSAGE_LENGTH)
        _note(self.prefixes, record.get("task_prefix"), PREFIXES, NAME_LENGTH)

    def _see_event(self, record: dict[str, Any]) -> None:
        if record["topic"] != "all":  # each is also published under the worker's topic
            return
        counts = self.counts
        if record["action"] == "add-worker":
            self._set_workers(counts["workers"] + 1)
        elif record["action"] == "remove-worker":
            self._set_workers(max(counts["workers"] - 1, 0))
            counts["workers_lost"] += is_worker_lost(record)

    def _see_figures(self, record: dict[str, Any]) -> None:
        n = record.get("workers")
        if type(n) is int and 0 <= n < _TOO_LARGE:
            self._set_workers(n)  # an event may have been dropped
        n = record.get("dropped_total")
        if type(n) is int and 0 <= n < _TOO_LARGE:
            self.counts["dropped"] = max(n, self.counts["dropped"])

    def _set_workers(self, n: int) -> None:
        self.counts["workers"] = n
        self.counts["workers_max"] = max(n, self.counts["workers_max"])

    #: What counts each record, by its name.
    counters: ClassVar[dict[str, Callable[[RunCounts, dict[str, Any]], None]]] = {
        STARTED: _see_start,
        TASK_FINISHED: _see_finished,
        TASK_ERRED: _see_erred,
        EVENT: _see_event,
        SAMPLE: _see_figures,
        MEMORY_PRESSURE: _see_figures,
        MEMORY_LIMIT_SET: _see_figures,
        RECORDS_DROPPED: _see_figures,
        STOPPED: _see_figures,
    }


def _note(kept: dict[str, None], text: Any, most: int, length: int) -> None:
    if type(text) is str and text and text not in kept and len(kept) < most:
        kept.setdefault(one_line(text, length))
