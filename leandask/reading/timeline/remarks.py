"""Remarks: what the reader of a timeline must know about its log."""

from __future__ import annotations

from collections.abc import Iterator

from leandask.reading.runs import OTHERS, PREFIXES
from leandask.reading.timeline.figures import Figures
from leandask.reading.timeline.taskstream.rows import ROUNDED, ROWS
from leandask.reading.timeline.workers import STAYS, WORKERS_SHOWN
from leandask.reading.words import counted, duration, number

#: Killed schedulers of which is said how, the newest ones.
VERDICTS = 5
#: Names of the marks of each kind.
_NAMES = {
    "erred": "transition",
    "failed": "erred task",
    "lost": "lost worker",
    "dropped": "report",
    "missing": "gap",
    "warned": "warning",
}


def remarks(figures: Figures) -> Iterator[str]:
    """Yield what is missing from the log, wrong with it, or left out of the page."""
    timeline = figures.timeline
    yield from timeline.notes
    if unkept := timeline.n_notes - len(timeline.notes):
        yield counted(unkept, "more remark", "about the log")
    yield from _beginnings(figures)
    yield from _unusable(figures)
    yield from _left_out(figures)


def _beginnings(figures: Figures) -> Iterator[str]:
    runs = figures.schedulers
    cut = [run for run in runs if run.sequence.first > 1]
    if cut:
        many = f"{number(len(cut))} of {len(runs)} schedulers"
        who = "the scheduler" if len(runs) == 1 else many
        yield (
            f"The beginning of {who} is not in this log, which starts at record "
            f"{number(cut[0].sequence.first)}: the figures are lower bounds."
        )
    below = [run for run in runs if any(run.low[:-2] + run.low[-1:])]
    if below and len(below) > len([run for run in below if run in cut]):
        yield (
            "More tasks or workers left than came, as records are missing. The "
            "levels are raised so that none is below zero."
        )
    elif below:
        yield "The levels are raised so that none is below zero."
    killed = [run for run in runs if figures.fate(run) == "killed"]
    if killed:
        yield (
            f"{counted(len(killed), 'scheduler')} ended with no record of a stop, as "
            "after kill -9. That may have been at any time after the last record, and "
            "further ones may not have been written."
        )
    # Not in the table alone, as it is the first question about such a log.
    for run in killed[-VERDICTS:]:
        if (how := figures.verdict(run)) != "killed":
            yield f"{run.id}: {how}."


def _unusable(figures: Figures) -> Iterator[str]:
    timeline = figures.timeline
    if timeline.wrong:
        fields = ", ".join(f"{number(n)} {name}" for name, n in timeline.wrong.items())
        n = sum(timeline.wrong.values())
        yield f"{counted(n, 'record')} could not be used, by the wrong field: {fields}."
    if timeline.n_foreign:
        yield f"{counted(timeline.n_foreign, 'record')} of other loggers."
    if late := sum(run.sequence.late for run in figures.schedulers):
        yield f"{counted(late, 'record')} came out of order, or more than once."
    if figures.totals["dropped"]:
        yield "Records that were dropped leave a gap in seq, so they count as missing."


def _left_out(figures: Figures) -> Iterator[str]:
    timeline = figures.timeline
    yield from _runs_left_out(figures)
    for kind, marks in timeline.marks.items():
        if marks.count > len(marks):
            yield (
                f"Of {counted(marks.count, _NAMES[kind])}, the {len(marks.first)} "
                f"first and the {len(marks.newest)} newest are listed."
            )
    workers = timeline.workers
    if workers.hidden:
        yield (
            f"{counted(workers.hidden, 'stay')} of workers have no lane: there "
            f"are {WORKERS_SHOWN}. All are counted."
        )
    if workers.stays_hidden:
        yield (
            f"A lane shows the last {STAYS} stays of its worker; "
            f"{number(workers.stays_hidden)} are not shown."
        )
    if timeline.n_settled:
        yield (
            f"{counted(timeline.n_settled, 'scheduler')} have no bar of their own. "
            "Their tasks and workers are counted."
        )


def _runs_left_out(figures: Figures) -> Iterator[str]:
    tasks, runs = figures.timeline.tasks, figures.runs
    if runs is None:
        return
    rows, drawn = tasks.rows, sum(row["spans"] for row in runs["rows"])
    if rows.width:
        short = duration(rows.width // 1000)
        yield (
            f"Of {counted(tasks.runs, 'run')} of tasks, short ones are merged: "
            f"{counted(drawn, 'span')} are drawn. Runs of one prefix and thread that "
            f"are shorter than {short} and start within it are one span."
        )
    if rows.is_rounded:
        yield f"Times of runs are rounded to {ROUNDED} µs."
    named = runs["details"]["n"]
    if named < tasks.runs - tasks.unseen - rows.runs_hidden:
        yield (
            f"The keys of {counted(named, 'run')} are in this page: of those that "
            "erred, and of the longest."
        )
    if rows.rows_hidden:
        yield (
            f"{counted(rows.runs_hidden, 'run')} of "
            f"{counted(rows.rows_hidden, 'thread')} are not drawn: there are {ROWS} "
            "rows. All are counted."
        )
    if tasks.unseen:
        yield (
            f"{counted(tasks.unseen, 'run')} ended with their worker, and nobody knows "
            "when they began. They are counted, not drawn."
        )
    if OTHERS in tasks.prefixes:
        yield f"Each prefix beyond {number(PREFIXES)} counts as {OTHERS}."
