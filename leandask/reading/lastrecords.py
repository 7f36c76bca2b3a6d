"""LastRecords: the last records of a log, or of all logs of a folder."""

from __future__ import annotations

import contextlib
import heapq
from pathlib import Path
from typing import Any

from leandask.eventlog.filenames import find
from leandask.reading.backward import Newest
from leandask.reading.files import bases_of
from leandask.reading.filter import Filter
from leandask.reading.lines import record_of
from leandask.records.times import rfc3339


def last_records(
    path: Path, wanted: Filter, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Read the last records of a log, or of all logs of a folder.

    Parameters
    ----------
    path : pathlib.Path
        A file, with those that were rotated out of it, or a folder of such files.
    wanted : Filter
    limit : int
        Records at most, from 1.

    Returns
    -------
    list of dict, int
        The records of several logs by time, the newest last, and how many lines can't
        be read.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    """
    records: list[dict[str, Any]] = []
    broken = 0
    for base in last_written_first(bases_of(path)):
        is_full = len(records) == limit
        # A file system's clock may be late by the tick of a kernel.
        if is_full and rfc3339(written(base) + 1) < _time_of(records[0]):
            break  # it has none that is newer, nor have the others
        newest = Newest(base, wanted, limit)
        lines = [line for found in newest.slices() for line in found]
        others = [record_of(line) for line in reversed(lines)]
        records = [*heapq.merge(records, others, key=_time_of)][-limit:]
        broken += newest.broken
    return records, broken


def last_written_first(bases: list[Path]) -> list[Path]:
    """Order logs by the time of their last record, as their files tell it.

    Parameters
    ----------
    bases : list of pathlib.Path
        The files that are or were written to.

    Returns
    -------
    list of pathlib.Path
    """
    return sorted(bases, key=written, reverse=True)


def written(base: Path) -> float:
    """Tell when a log was written last.

    Parameters
    ----------
    base : pathlib.Path
        The file that is or was written to.

    Returns
    -------
    float
        Seconds since the epoch; 0 where there is no file.
    """
    times = [0.0]
    for path in find(base):
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            times.append(path.stat().st_mtime)
    return max(times)


def _time_of(record: dict[str, Any]) -> str:
    return str(record["timestamp"])
