"""Output: how the command writes records, counts and reports."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import click
from dask.utils import format_bytes

from leandask.cli.runlines import OF_RUNS, run_line, run_stats_lines
from leandask.cli.terminal import json_line, stdout, warn
from leandask.reading.lines import InvalidRecord, check
from leandask.reading.lives import VERDICT_LENGTH, Life
from leandask.reading.problems import KINDS, Problems
from leandask.reading.reader import LogReader
from leandask.records.schema import RUNS, TRANSITION
from leandask.records.text import CUT, NAME_LENGTH, one_line, printable
from leandask.records.times import rfc3339

#: A log of at least so many bytes is read with a progress bar.
LONG_LOG = 50 * 2**20
#: Exit code if a part of the log could not be read.
PARTLY_READ = 3
#: Recommendations of a transition that are shown.
RECOMMENDATIONS_SHOWN = 3
#: Characters of a bar chart, from the lowest value to the highest; and those of ASCII.
BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
#: Columns of the chart of records over time.
WIDTH = 60
#: Counts that are sizes in bytes.
SIZES = ("memory_peak", "memory_limit")
#: Names shown of each count, and killed schedulers.
TOP = 10


@contextlib.contextmanager
def reading(log: Path | str, long_log: int = LONG_LOG) -> Iterator[LogReader]:
    """Read a log, with a progress bar if it is long, and report its problems."""
    reader = LogReader(log)
    is_shown = _is_terminal(sys.stderr) and not _is_terminal(sys.stdout)
    with contextlib.ExitStack() as stack:
        if is_shown and (nbytes := reader.nbytes) >= long_log:
            progress: Any = stack.enter_context(
                click.progressbar(
                    length=nbytes,
                    label=printable(str(log)),
                    file=sys.stderr,
                    update_min_steps=nbytes // 200,
                )
            )
            reader = LogReader(log, progress.update)
        yield reader
    warn_of(reader.problems)
    exit_if_partly_read(reader.problems)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()  # None if it is closed


def warn_of(problems: Problems) -> None:
    """Report the problems of a log."""
    for text in problem_lines(problems):
        warn(text)


def warn_of_killed(killed: Iterable[tuple[Life, str]]) -> None:
    """Report the schedulers that were killed, the newest last."""
    last = [*killed]
    if older := last[:-TOP]:
        warn(f"{len(older)} older schedulers were killed")
    for life, how in last[-TOP:]:
        text = f"{life.id}, last record at {rfc3339(life.last / 1000)}: {how}"
        warn(one_line(text, NAME_LENGTH + VERDICT_LENGTH))


def exit_if_partly_read(problems: Problems) -> None:
    """Exit if a line or a file could not be read."""
    if problems.counts["corrupt"] or problems.counts["unreadable"]:
        sys.stdout.flush()
        raise click.exceptions.Exit(PARTLY_READ)


def write_records(records: Iterable[dict[str, Any]], as_json: bool) -> int:
    """Write records to stdout, and return their number."""
    n = 0
    out = stdout()
    for record in records:
        n += 1
        try:
            if as_json:
                line = json_line(record, out.encoding)
            else:
                if record["event_name"] == TRANSITION:  # its line has more fields
                    check(record)
                line = record_line(record)
        except InvalidRecord:
            line = one_line(str(record))
        out.write(line + "\n")
    out.flush()
    return n


def problem_lines(problems: Problems) -> Iterator[str]:
    """Show the count and the first place of each kind of problem."""
    first = {problem.kind: problem for problem in reversed(problems.notices)}
    for kind, count in problems.counts.items():
        if count:
            where = f"; first {first[kind]}" if kind in first else ""
            yield f"{count} {KINDS[kind]}{where}"


def record_line(record: dict[str, Any]) -> str:
    """Show a record as one line, without control characters.

    Examples
    --------
    >>> print(record_line({"timestamp": "2026-11-24T11:57:27.206000Z",
    ...     "severity": "INFO", "event_name": "dask.event",
    ...     "message": "all: add-worker"}))
    2026-11-24T11:57:27.206000Z INFO     all: add-worker
    """
    event_name = record.get("event_name")
    if event_name == TRANSITION:
        return transition_line(record)
    if event_name in RUNS:
        return run_line(record)
    severity, message = record.get("severity"), record.get("message")
    return one_line(
        f"{record['timestamp']} {severity!s:8} {message}", limit=2 * NAME_LENGTH
    )


def transition_line(record: dict[str, Any]) -> str:
    """Show the record of a transition as one line, without control characters.

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
    recommendations = f" => {', '.join(words)}" if words else ""
    return one_line(
        f"{record['timestamp']} {record['task_start']:10} -> "
        f"{record['task_finish']:10} {record['task_key']}  "
        f"({record['stimulus_id']}){recommendations}",
        limit=4 * NAME_LENGTH,
    )


def count_lines(
    counts: dict[str, Any], rates: list[tuple[int, float]], bars: str = BARS
) -> Iterator[str]:
    """Show the counts of a log, and its records per second over time.

    Examples
    --------
    >>> counts = {"records": 3, "topics": {"all": 2}}
    >>> print("\\n".join(count_lines(counts, [(0, 1), (9, 2)])))
    records                3
    topics
      all                                                 2
    records over time      ▅▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁█▁▁▁▁▁
    """
    of_runs = {name: counts[name] for name in OF_RUNS if name in counts}
    for name, value in counts.items():
        if name in of_runs:
            continue
        label = name.replace("_", " ")
        if not isinstance(value, dict):
            if name in SIZES and value is not None:
                value = format_bytes(value)
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
        yield f"{'records over time':22} {bar_chart(columns, bars)}"
    if of_runs:
        yield from run_stats_lines(of_runs)


def bar_chart(values: list[float], bars: str = BARS) -> str:
    """Show numbers that are not negative as a row of bars.

    Examples
    --------
    >>> bar_chart([0, 1, 2, 7])
    '▁▂▃█'
    """
    most = max(values, default=0) or 1
    return "".join(bars[round(value / most * (len(bars) - 1))] for value in values)


def bars_for(encoding: str) -> str:
    """Return the bars that an encoding has."""
    try:
        BARS.encode(encoding)
    except UnicodeEncodeError:
        return ASCII_BARS
    return BARS
