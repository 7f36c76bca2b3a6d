"""Counting: what the records of a log add to the runs of its schedulers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leandask.historyserver.index.runsummary import RunSummary
from leandask.reading.lines import InvalidRecord, milliseconds_of, record_of
from leandask.reading.lives import Life
from leandask.records.text import NAME_LENGTH

#: Longest line that is decoded: a record has at most 16 KiB.
LINE_BYTES = 2**20
#: Schedulers of one log that may still change; older ones stay as they are.
SCHEDULERS = 1000
#: Transitions that are not decoded: most of them.
_TRANSITION = b'"dask.task.transition"'
_COUNTED = (b'"task_finish":"memory"', b'"task_finish":"erred"')


def count_lines(runs: dict[str, RunSummary], lines: Iterable[bytes]) -> None:
    """Count the records of some lines, by their scheduler."""
    for line in lines:
        if _TRANSITION in line and not any(part in line for part in _COUNTED):
            continue
        if not line or len(line) > LINE_BYTES:
            continue
        try:
            record = record_of(line)
        except InvalidRecord:
            continue
        count_record(runs, record)


def count_record(runs: dict[str, RunSummary], record: dict[str, Any]) -> None:
    """Count a record of a log; one that is not valid counts for nothing."""
    name = record["scheduler_id"][:NAME_LENGTH]
    try:
        if (run := runs.get(name)) is None:
            if len(runs) >= 2 * SCHEDULERS:
                return  # a log of which each line names another scheduler
            run = runs[name] = RunSummary(Life(name, milliseconds_of(record)))
        run.add(record)
    except (InvalidRecord, KeyError, TypeError):
        pass
