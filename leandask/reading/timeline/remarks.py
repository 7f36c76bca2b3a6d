"""Remarks: what the reader of a timeline must know of its log."""

from __future__ import annotations

from collections.abc import Iterator

from leandask.reading.timeline.figures import Figures
from leandask.reading.timeline.words import counted, number
from leandask.reading.timeline.workers import STAYS, WORKERS_SHOWN

#: How marks of each kind are called.
_NAMES = {
    "erred": "transition",
    "lost": "lost worker",
    "dropped": "report",
    "missing": "gap",
    "warned": "warning",
}


def remarks(figures: Figures) -> Iterator[str]:
    """Tell what is missing from the log, wrong with it, or left out of the page.

    Parameters
    ----------
    figures : Figures

    Yields
    ------
    str
    """
    timeline = figures.timeline
    yield from timeline.notes
    if unkept := timeline.n_notes - len(timeline.notes):
        yield counted(unkept, "more remark", "about the log")
    yield from _beginnings(figures)
    yield from _unusable(figures)
    yield from _left_out(figures)


def _beginnings(figures: Figures) -> Iterator[str]:
    cut = [life for life in figures.lives if life.first_seq > 1]
    if cut:
        who = "the scheduler" if len(figures.lives) == 1 else f"{number(len(cut))} of "
        who += "" if len(figures.lives) == 1 else f"{len(figures.lives)} schedulers"
        yield (
            f"The beginning of {who} is not in this log, which starts at record "
            f"{number(cut[0].first_seq)}: figures are what was there at the least."
        )
    below = [life for life in figures.lives if any(life.low[:-2] + life.low[-1:])]
    if below and len(below) > len([life for life in below if life in cut]):
        yield (
            "More tasks or workers left than had come, as records are missing. The "
            "levels are raised so that none is below zero."
        )
    elif below:
        yield "The levels are raised so that none is below zero."
    killed = [life for life in figures.lives if figures.fate(life) == "killed"]
    if killed:
        yield (
            f"{counted(len(killed), 'scheduler')} ended with no record of a stop, as "
            "kill -9 does. Up to the next start it is not known when, and the last "
            "records may not have been written."
        )


def _unusable(figures: Figures) -> Iterator[str]:
    timeline = figures.timeline
    if timeline.wrong:
        fields = ", ".join(f"{number(n)} {name}" for name, n in timeline.wrong.items())
        n = sum(timeline.wrong.values())
        yield f"{counted(n, 'record')} could not be used, by the wrong field: {fields}."
    if timeline.n_foreign:
        yield f"{counted(timeline.n_foreign, 'record')} of other loggers."
    if late := sum(life.late for life in figures.lives):
        yield f"{counted(late, 'record')} came out of order, or more than once."
    if figures.totals["dropped"]:
        yield "Records that were dropped leave a gap in seq, so they count as missing."


def _left_out(figures: Figures) -> Iterator[str]:
    timeline = figures.timeline
    for kind, marks in timeline.marks.items():
        if marks.count > len(marks):
            yield (
                f"Of {counted(marks.count, _NAMES[kind])}, the {len(marks.first)} "
                f"first and the {len(marks.newest)} newest are listed."
            )
    if timeline.lanes.hidden:
        yield (
            f"{counted(timeline.lanes.hidden, 'stay')} of workers have no lane: there "
            f"are {WORKERS_SHOWN}. All are counted."
        )
    if timeline.lanes.stays_hidden:
        yield (
            f"A lane shows the last {STAYS} stays of its worker; "
            f"{number(timeline.lanes.stays_hidden)} are not shown."
        )
    if timeline.n_settled:
        yield (
            f"{counted(timeline.n_settled, 'scheduler')} have no bar of their own. "
            "Their tasks and workers are counted."
        )
