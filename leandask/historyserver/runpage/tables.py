"""Tables: what a run did by prefix and by worker, and what erred."""

from __future__ import annotations

from typing import Any

from leandask.historyserver.runpage.departures import Departures
from leandask.historyserver.runpage.wanted import Whole, only
from leandask.reading.lines import InvalidRecord, check
from leandask.reading.reader import LogReader
from leandask.reading.runs import RunStats
from leandask.records.schema import EVENT, RUNS, TRANSITION

#: What a transition has in its line, and no other record.
_TRANSITION = b'"event_name":"%s"' % TRANSITION.encode()


class OfTables(Whole):
    """Wants the records of a scheduler that its tables are made of."""

    def take(self, block: bytes) -> bytes:
        """Return the lines without transitions."""
        if _TRANSITION not in block:
            return block
        lines = enumerate(block.split(b"\n"))
        return only(block, {i for i, line in lines if _TRANSITION not in line})

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        name = record["event_name"]
        return (name in RUNS or name == EVENT) and super().matches(record)


def tables_of(reader: LogReader, scheduler_id: str) -> dict[str, Any]:
    """Read a log, and return the tables of one run as plain JSON values."""
    stats, departures = RunStats(), Departures()
    for record in reader.select(OfTables(scheduler_id)):
        try:
            if record["event_name"] in RUNS:
                stats.add(record)
            else:
                check(record)
                departures.add(record)
        except (InvalidRecord, KeyError, TypeError, ValueError):
            continue  # as of a log that was made to harm: the others are shown
    found = stats.as_dict()
    rows = departures.rows()
    known = {row["address"] for row in rows}
    figures = found["workers"]
    rows += [{"address": each} for each in figures if each not in known]
    return {
        "tasks": [{"prefix": n} | of for n, of in found["prefixes"].items()],
        "errors": found["errors"],
        # Of each worker its stay, and what it ran.
        "workers": [row | figures.get(row["address"], {}) for row in rows],
    }
