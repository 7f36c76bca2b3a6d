"""Show: records as lines to be read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from dask.utils import format_bytes

from leandask.records.schema import TRANSITION
from leandask.records.text import CUT, NAME_LENGTH, one_line

#: Recommendations of a transition that are shown.
RECOMMENDATIONS_SHOWN = 3
#: Characters of a bar, from nothing to the most, and how many make one of a time.
BARS, WIDTH = "▁▂▃▄▅▆▇█", 60
#: Names shown of each count.
TOP = 10


def line_of(record: dict[str, Any]) -> str:
    """Show a record as a line.

    Parameters
    ----------
    record : dict
        By the names of the schema. What is in it can't start another line, nor steer
        a terminal.

    Returns
    -------
    str

    Examples
    --------
    >>> print(line_of({"timestamp": "2026-11-24T11:57:27.206000Z", "severity": "INFO",
    ...     "event_name": "dask.event", "message": "all: add-worker"}))
    2026-11-24T11:57:27.206000Z INFO     all: add-worker
    """
    if record.get("event_name") == TRANSITION:
        return transition_line(record)
    severity, message = record.get("severity"), record.get("message")
    return one_line(
        f"{record['timestamp']} {severity!s:8} {message}", limit=2 * NAME_LENGTH
    )


def transition_line(record: dict[str, Any]) -> str:
    """Show a transition as a line.

    Parameters
    ----------
    record : dict
        As for :func:`line_of`.

    Returns
    -------
    str

    Examples
    --------
    >>> print(transition_line({"timestamp": "2026-11-24T11:57:27.206000Z",
    ...     "task_key": "x", "task_start": "waiting", "task_finish": "processing",
    ...     "stimulus_id": "s-1", "recommendation_keys": [], "n_recommendations": 0,
    ...     "recommendation_states": []}))
    2026-11-24T11:57:27.206000Z waiting    -> processing x  (s-1)
    """
    pairs = zip(
        record["recommendation_keys"], record["recommendation_states"], strict=False
    )
    words = [f"{key}: {state}" for key, state in islice(pairs, RECOMMENDATIONS_SHOWN)]
    if (more := record["n_recommendations"] - len(words)) > 0:
        words.append(f"{CUT} {more} more")
    others = f" => {', '.join(words)}" if words else ""
    return one_line(
        f"{record['timestamp']} {record['task_start']:10} -> "
        f"{record['task_finish']:10} {record['task_key']}  "
        f"({record['stimulus_id']}){others}",
        limit=4 * NAME_LENGTH,
    )


def bar(values: list[float]) -> str:
    """Show numbers as a row of bars.

    Parameters
    ----------
    values : list of float
        Not negative.

    Returns
    -------
    str

    Examples
    --------
    >>> bar([0, 1, 2, 7])
    '▁▂▃█'
    """
    most = max(values, default=0) or 1
    return "".join(BARS[round(value / most * (len(BARS) - 1))] for value in values)


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """Show a scheduler's report.

    Parameters
    ----------
    report : dict
        As :func:`leandask.serving.report.report_of` makes it.

    Yields
    ------
    str
    """
    memory, stream = report["memory"], report["stream"]
    versions = ", ".join(f"{name} {v}" for name, v in report["versions"].items())
    peak = memory["rss_peak"]
    yield f"{report['scheduler_id']} at {report['address']}, since {report['started']}"
    yield f"{versions}"
    yield (
        f"memory {format_bytes(memory['rss'])}, "
        f"at most {'-' if peak is None else format_bytes(peak)}, "
        f"limit {format_bytes(memory['limit'])}; {report['workers']} workers, "
        f"{report['clients']} clients, {report['tasks']} tasks"
    )
    yield f"\n{'history':15} {'kept':>9} {'bound':>9} {'seen':>12} {'bytes':>12}"
    for name, held in report["histories"].items():
        numbers = (held["kept"], held["bound"], held["seen"])
        kept, bound, seen = ("-" if n is None else str(n) for n in numbers)
        nbytes = format_bytes(held["bytes"])
        yield f"{name:15} {kept:>9} {bound:>9} {seen:>12} {nbytes:>12}"
    dropped = sum(stream["dropped"].values())
    yield (
        f"\nstream: {stream['emitted']} records, {dropped} dropped, "
        f"{stream['errors']} errors, {stream['queued']} wait"
    )
    if log := report["event_log"]:
        yield (
            f"event log: {one_line(log['path'])}, {log['lines_written']} lines, "
            f"{log['lines_lost']} lost{', FAILING' if log['failing'] else ''}"
        )
    yield from (f"{w['timestamp']} {w['message']}" for w in report["warnings"])


def table(counts: dict[str, Any], rates: list[tuple[int, float]]) -> Iterator[str]:
    """Show the counts of a log.

    Parameters
    ----------
    counts : dict
        Numbers, or numbers by name, the largest first.
    rates : list of (int, float)
        Time and records per second.

    Yields
    ------
    str

    Examples
    --------
    >>> print("\\n".join(table({"records": 3, "topics": {"all": 2}}, [(0, 1), (9, 2)])))
    records                3
    topics
      all                                                 2
    records over time      ▅▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁▁▁▁▁
    """
    for name, value in counts.items():
        label = name.replace("_", " ")
        if not isinstance(value, dict):
            shown_value = "-" if value is None else one_line(str(value), limit=40)
            yield f"{label:22} {shown_value}"
        elif shown := {n: count for n, count in value.items() if count}:
            yield label
            for n, count in islice(shown.items(), TOP):
                yield f"  {one_line(n, limit=40):41} {count:>11}"
            if len(shown) > TOP:
                yield f"  {len(shown) - TOP} more"
    if rates:
        begin, span = rates[0][0], rates[-1][0] - rates[0][0] + 1
        columns = [0.0] * WIDTH
        for start, rate in rates:
            columns[(start - begin) * WIDTH // span] += rate
        yield f"{'records over time':22} {bar(columns)}"
