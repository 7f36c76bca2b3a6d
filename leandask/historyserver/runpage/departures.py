"""Departures: the workers of a run, why each left, and its last words."""

from __future__ import annotations

from typing import Any

from leandask.reading.lines import InvalidRecord, msg_of
from leandask.records.schema import WORKER_LOG
from leandask.records.severity import is_worker_lost
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line

#: Workers of which each has a row, 5 KB at most; all are counted.
WORKERS = 2000
#: Lines and events that are kept of a worker: its last ones.
LAST_WORDS = 5


class Departures:
    """The workers of one run.

    Beyond the limit, the one that left first is forgotten.
    """

    def __init__(self, limit: int = WORKERS) -> None:
        self.limit = limit
        #: Workers that joined, that were lost, and that have no row.
        self.joined = self.lost = self.hidden = 0
        self._rows: dict[str, dict[str, Any]] = {}

    def add(self, record: dict[str, Any]) -> int:
        """Note an event; return 1 for a worker that joined, -1 for one that left."""
        worker, action, topic = record["worker"], record["action"], record["topic"]
        if worker is None:
            return 0
        if topic == "all" and action == "add-worker":
            self.joined += 1
            row = self._row(worker)
            row |= {"joined": record["timestamp"], "left": None, "why": ""}
            row["lost"] = False
            return 1
        if topic == "all" and action == "remove-worker":
            self._leave(worker, record)
            return -1
        # What is under the topic of a worker may be under another one too.
        if topic in (WORKER_LOG, worker) and action not in _OF_LIFE:
            words = self._row(worker)["last_words"]
            words.append(
                {
                    "timestamp": record["timestamp"],
                    "severity": record["severity"],
                    "message": one_line(str(record.get("message")), MESSAGE_LENGTH),
                }
            )
            del words[:-LAST_WORDS]
        return 0

    def _leave(self, worker: str, record: dict[str, Any]) -> None:
        row = self._row(worker)
        is_lost = is_worker_lost(record)
        try:
            msg = msg_of(record)
        except InvalidRecord:
            msg = None
        self.lost += is_lost
        row |= {"left": record["timestamp"], "lost": is_lost}
        stimulus = msg.get("stimulus_id") if type(msg) is dict else None
        why = "lost unexpectedly" if is_lost else "left as expected"
        row["why"] = f"{why}: {one_line(str(stimulus), 200)}" if stimulus else why
        if type(msg) is dict:
            tasks = msg.get("processing-tasks")
            names = [*tasks] if isinstance(tasks, (dict, list)) else []
            row["processing"] = [one_line(str(name), 200) for name in names[:10]]

    def _row(self, worker: str) -> dict[str, Any]:
        worker = one_line(worker, NAME_LENGTH)
        if worker not in self._rows:
            if len(self._rows) >= self.limit:
                gone = (a for a, row in self._rows.items() if row["left"])
                del self._rows[next(gone, next(iter(self._rows)))]
                self.hidden += 1
            self._rows[worker] = {
                "address": worker,
                "joined": None,
                "left": None,
                "lost": False,
                "why": "",
                "processing": [],
                "last_words": [],
            }
        return self._rows[worker]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each worker, those that were lost first."""
        return sorted(self._rows.values(), key=lambda row: not row["lost"])


_OF_LIFE = frozenset({"add-worker", "remove-worker"})
