"""Console: how the command reads a log, and writes what it found."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import orjson

from leandask.cli.output import line_of
from leandask.reading.lines import InvalidRecord, check
from leandask.reading.problems import KINDS, Problems
from leandask.reading.reader import LogReader
from leandask.records.text import one_line

#: Bytes of a log from which on its reading shows a progress bar.
LONG = 50 * 2**20
#: Exit code where a part of the log could not be read.
PARTLY = 3


@contextlib.contextmanager
def reading(log: Path) -> Iterator[LogReader]:
    """Read a log with a progress bar where it is long, and tell of its problems."""
    reader = LogReader(log)
    nbytes = reader.nbytes
    with contextlib.ExitStack() as stack:
        if nbytes >= LONG and sys.stderr.isatty() and not sys.stdout.isatty():
            progress: Any = stack.enter_context(
                click.progressbar(
                    length=nbytes,
                    label=str(log),
                    file=sys.stderr,
                    update_min_steps=nbytes // 200,
                )
            )
            reader = LogReader(log, progress.update)
        yield reader
    for text in summary(reader.problems):
        click.echo(f"leandask: {text}", err=True)
    if reader.problems.counts["corrupt"] or reader.problems.counts["unreadable"]:
        sys.stdout.flush()
        raise click.exceptions.Exit(PARTLY)


def summary(problems: Problems) -> Iterator[str]:
    """Tell of each kind of problem how often it is, and where first."""
    first = {problem.kind: problem for problem in reversed(problems.notices)}
    for kind, count in problems.counts.items():
        if count:
            where = f"; first {first[kind]}" if kind in first else ""
            yield f"{count} {KINDS[kind]}{where}"


def write(records: Iterable[dict[str, Any]], as_json: bool) -> int:
    """Write records to stdout, and tell how many they were."""
    n = 0
    out = sys.stdout.buffer
    for record in records:
        n += 1
        try:
            if as_json:
                line = orjson.dumps(record)
            else:
                check(record)
                line = line_of(record).encode()
        except InvalidRecord:
            line = one_line(str(record)).encode()
        out.write(line + b"\n")
    out.flush()
    return n
