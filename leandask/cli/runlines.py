"""RunLines: how the command shows runs of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from dask.utils import format_bytes, format_time

from leandask.records.schema import TASK_FINISHED
from leandask.records.text import NAME_LENGTH, one_line

#: The parts of the counts of a log that are about runs.
OF_RUNS = ("prefixes", "workers", "errors")
#: Prefixes, workers and errors that are shown.
SHOWN = 20


def run_line(record: dict[str, Any]) -> str:
    """Show the record of a run as one line, without control characters.

    Examples
    --------
    >>> print(run_line({"timestamp": "2026-11-24T11:57:27.206000Z",
    ...     "event_name": "dask.task.finished", "task_key": "x", "worker_name": "w-1",
    ...     "compute_seconds": 0.25, "nbytes": 28}))
    2026-11-24T11:57:27.206000Z run finished in 250.00 ms on w-1: x  (28 B)
    """
    where = record.get("worker_name") or record.get("worker")
    seconds = record.get("compute_seconds")
    took = f" in {format_time(seconds)}" if isinstance(seconds, (int, float)) else ""
    on = f" on {where}" if where is not None else ""
    if record.get("event_name") == TASK_FINISHED:
        nbytes = record.get("nbytes")
        size = f"  ({format_bytes(nbytes)})" if type(nbytes) is int else ""
        line = f"run finished{took}{on}: {record['task_key']}{size}"
    else:
        blamed = record.get("blamed_key")
        why = record.get("exception_text") or f"as {blamed} erred"
        if blamed is None:
            why = f"{why}; {record.get('retries_left')} retries left"
        line = f"run erred{took}{on}: {record['task_key']}: {why}"
    return one_line(f"{record['timestamp']} {line}", limit=4 * NAME_LENGTH)


def run_stats_lines(stats: dict[str, Any]) -> Iterator[str]:
    """Show how long tasks ran, by prefix and by worker, and why they erred."""
    yield from _prefix_lines(stats["prefixes"])
    yield from _worker_lines(stats["workers"])
    yield from _error_lines(stats["errors"])


def _prefix_lines(prefixes: dict[str, Any]) -> Iterator[str]:
    head = ("total", "mean", "p50", "p99", "max")
    columns = "".join(f"{name:>11}" for name in head)
    yield ""
    yield f"{'runs by prefix':30} {'count':>9} {'erred':>7}{columns} {'bytes':>11}"
    for name, of in islice(prefixes.items(), SHOWN):
        shown_name = one_line(name, limit=29)
        counts = f"{of['count']:>9} {of['erred']:>7}"
        for phase in ("compute", "transfer", "disk", "deserialize"):
            seconds = of.get(f"{phase}_seconds")
            if seconds is None:
                continue
            times = "".join(f"{format_time(seconds[each]):>11}" for each in head)
            if phase == "compute":
                size = format_bytes(of["nbytes"])
                yield f"{shown_name:30} {counts}{times} {size:>11}"
            else:
                yield f"  {phase:28} {'':>9} {'':>7}{times}"
    yield from _more(prefixes)


def _worker_lines(workers: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{'runs by worker':50} {'count':>9} {'erred':>7} {'busy':>7}"
    for address, of in islice(workers.items(), SHOWN):
        name = address if of["name"] in (None, address) else f"{of['name']} {address}"
        busy = "-" if of["busy"] is None else f"{of['busy']:.0%}"
        counts = f"{of['count']:>9} {of['erred']:>7} {busy:>7}"
        yield f"{one_line(name, limit=49):50} {counts}"
    yield from _more(workers)


def _error_lines(errors: list[dict[str, Any]]) -> Iterator[str]:
    if errors:
        yield ""
        yield "errors"
    for error in errors[:SHOWN]:
        where = f"  ({error['line']})" if error["line"] else ""
        first = f"first {error['first_key']}"
        yield one_line(f"{error['count']:>9}  {error['text']}{where}, {first}")
    yield from _more(errors)


def _more(entries: Any) -> Iterator[str]:
    if len(entries) > SHOWN:
        yield f"  {len(entries) - SHOWN} more"
