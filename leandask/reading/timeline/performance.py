"""Performance: what an upstream performance report tells, from a log alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dask.utils import format_bytes, format_time

from leandask.reading.taskruns import PHASES
from leandask.reading.timeline.figures import Figures
from leandask.reading.timeline.taskstream.packing import seconds_of
from leandask.reading.words import duration, number

#: Rows of a table: those that took longest, or happened most often.
ROWS = 100
#: Prefixes that an error names.
_PREFIXES = 3


class Table(NamedTuple):
    """A table of the page; its first column has the names."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    #: Whether all columns but the first have numbers.
    is_figures: bool = True


def tables(figures: Figures) -> Iterator[Table]:
    """Yield the tables of a performance report."""
    stats = figures.timeline.tasks.stats.as_dict()
    yield _summary(figures, stats["prefixes"])
    yield from _versions(figures)
    if figures.timeline.tasks.runs:
        yield _prefixes(stats["prefixes"])
        yield _workers(stats["workers"])
    if stats["errors"]:
        yield _errors(stats["errors"])


def _summary(figures: Figures, prefixes: dict[str, Any]) -> Table:
    tasks = figures.timeline.tasks
    rows = [
        ("duration of the log", duration(figures.end - figures.start)),
        ("runs of tasks", number(tasks.runs)),
        ("runs that erred", number(tasks.erred)),
        ("tasks that erred because of another one", number(tasks.blamed)),
        *(
            (phase, _time(sum(seconds_of(of, phase) for of in prefixes.values())))
            for phase in PHASES.values()
        ),
        ("results", format_bytes(sum(of["nbytes"] for of in prefixes.values()))),
        ("workers at most", number(figures.most["workers"])),
        ("threads that computed", number(sum(1 for _ in tasks.rows))),
    ]
    return Table("Summary, over all threads", ("", ""), rows)


def _versions(figures: Figures) -> Iterator[Table]:
    found = {
        (name, version): None
        for run in figures.schedulers
        for name, version in run.versions.items()
    }
    if found:
        yield Table("Versions of the schedulers", ("", ""), [*found])


def _prefixes(prefixes: dict[str, Any]) -> Table:
    rows = [
        (
            name,
            number(of["count"]),
            number(of["erred"]),
            *(
                _time(seconds_of(of, "compute", figure))
                for figure in ("total", "mean", "p50", "p99", "max")
            ),
            *(
                _time(seconds_of(of, phase))
                for phase in PHASES.values()
                if phase != "compute"
            ),
            format_bytes(of["nbytes"]),
        )
        for name, of in [*prefixes.items()][:ROWS]
    ]
    headings = (
        *("prefix", "runs", "erred", "compute", "mean", "median", "99 %", "longest"),
        *("transfer", "disk", "deserialize", "results"),
    )
    caption = f"Runs of tasks by prefix{_of(len(rows), len(prefixes))}"
    return Table(caption, headings, rows)


def _workers(workers: dict[str, Any]) -> Table:
    found = sorted(workers.items(), key=lambda item: -item[1]["compute_seconds"])
    rows = [
        (
            address if of["name"] in (None, address) else f"{of['name']} ({address})",
            number(of["count"]),
            number(of["erred"]),
            number(of["threads"]),
            _time(of["compute_seconds"]),
            "-" if of["busy"] is None else f"{of['busy']:.0%}",
        )
        for address, of in found[:ROWS]
    ]
    caption = f"Runs of tasks by worker{_of(len(rows), len(found))}"
    headings = ("worker", "runs", "erred", "threads", "compute", "busy")
    return Table(caption, headings, rows)


def _errors(errors: list[dict[str, Any]]) -> Table:
    rows = [
        (
            error["type"] or "",
            number(error["count"]),
            error["text"],
            error["line"],
            ", ".join([*error["prefixes"]][:_PREFIXES]),
            error["first_key"],
        )
        for error in errors[:ROWS]
    ]
    caption = f"Errors of runs{_of(len(rows), len(errors))}"
    headings = ("exception", "runs", "text", "line", "prefixes", "first task")
    return Table(caption, headings, rows, is_figures=False)


def _of(shown: int, found: int) -> str:
    return f", {shown} of {number(found)}" if shown < found else ""


def _time(seconds: float) -> str:
    return format_time(seconds) if seconds else "0 s"
