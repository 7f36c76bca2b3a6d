"""Performance: what an upstream performance report tells, from a log alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from dask.utils import format_bytes

from leandask.reading.timeline.figures import Figures
from leandask.reading.timeline.taskstream.taskstream import TaskStream
from leandask.reading.timeline.taskstream.totals import Total
from leandask.reading.words import duration, number

#: Rows of a table: those that took longest, or happened most often.
ROWS = 100


class Table(NamedTuple):
    """A table of the page; its first column has the names."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    #: Whether all columns but the first have numbers.
    is_figures: bool = True


#: Columns of the totals of prefixes and of workers.
_COLUMNS: dict[str, Callable[[Total], str]] = {
    "runs": lambda t: number(t.runs),
    "erred": lambda t: number(t.erred),
    "computing": lambda t: _time(t.compute),
    "on average": lambda t: _time(t.compute // max(t.runs, 1)),
    "longest": lambda t: _time(t.longest),
    "transfer": lambda t: _time(t.transfer),
    "disk": lambda t: _time(t.disk),
    "deserialize": lambda t: _time(t.deserialize),
    "results": lambda t: format_bytes(t.nbytes),
}


def tables(figures: Figures) -> Iterator[Table]:
    """Yield the tables of a performance report."""
    tasks = figures.timeline.tasks
    yield _summary(figures)
    yield from _versions(figures)
    if tasks.total.runs:
        for name, totals in (("prefix", tasks.prefixes), ("worker", tasks.workers)):
            found = sorted(totals.all(), key=lambda t: t.compute, reverse=True)
            rows = [
                (t.name, *(show(t) for show in _COLUMNS.values())) for t in found[:ROWS]
            ]
            caption = f"Runs of tasks by {name}{_of(len(rows), len(found))}"
            yield Table(caption, (name, *_COLUMNS), rows)
    if tasks.errors.counts:
        yield _errors(tasks)


def _summary(figures: Figures) -> Table:
    tasks = figures.timeline.tasks
    total = tasks.total
    rows = [
        ("duration of the log", duration(figures.end - figures.start)),
        ("runs of tasks", number(total.runs)),
        ("runs that erred", number(total.erred)),
        ("tasks that erred because of another one", number(tasks.blamed)),
        ("computing", _time(total.compute)),
        ("transfer", _time(total.transfer)),
        ("disk", _time(total.disk)),
        ("deserialize", _time(total.deserialize)),
        ("results", format_bytes(total.nbytes)),
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


def _errors(tasks: TaskStream) -> Table:
    found = sorted(tasks.errors.counts.items(), key=lambda item: -item[1][0])
    rows = [
        (error.prefix, number(n), error.error, error.reason, key)
        for error, (n, key) in found[:ROWS]
    ]
    others = ""
    if tasks.errors.hidden:
        others = f"; {number(tasks.errors.hidden)} erred in yet other ways"
    caption = f"Errors of runs{_of(len(rows), len(found))}{others}"
    headings = ("prefix", "runs", "exception", "text", "first task")
    return Table(caption, headings, rows, is_figures=False)


def _of(shown: int, found: int) -> str:
    return f", {shown} of {number(found)}" if shown < found else ""


def _time(microseconds: int) -> str:
    """Write a time.

    Examples
    --------
    >>> _time(0), _time(250), _time(1500), _time(90_000_000)
    ('0 s', '250 µs', '1.5 ms', '1 min 30 s')
    """
    if not microseconds:
        return "0 s"
    if microseconds < 1000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.1f} ms"
    return duration(microseconds // 1000)
