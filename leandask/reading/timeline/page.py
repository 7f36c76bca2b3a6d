"""The page of a timeline: one HTML file that loads nothing else.

What comes from a record is hostile. It reaches the page as escaped text, or as JSON in
a block that is not a script, with the characters escaped that could end that block. The
page's own script shows it as text only, and is the only one that the page may run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from leandask._csp import hash_of
from leandask.reading.timeline.columns import STATES
from leandask.reading.timeline.figures import Figures
from leandask.reading.timeline.performance import tables
from leandask.reading.timeline.remarks import remarks
from leandask.reading.timeline.timeline import Timeline
from leandask.reading.words import counted, duration, number
from leandask.records.text import one_line
from leandask.records.times import rfc3339

FOLDER = Path(__file__).with_name("timelinepage")
#: Parts of the script, in the order in which they run.
SCRIPTS = (
    *("data", "formats", "view", "gestures", "plot", "cursor", "schedulers"),
    *("stream/runs", "stream/prefixes", "stream/strip", "stream/stream"),
    *("tasks", "memory", "workers", "errors", "losses"),
)
#: Labels in the table of totals.
_TOTALS = {
    "finished": "transitions into memory",
    "erred": "transitions into erred",
    "moved": "other transitions",
    "failed": "tasks that erred, by their records",
    "lost": "workers lost",
    "dropped": "records dropped",
    "missing": "records missing by seq",
    "warned": "other warnings",
}
#: Schedulers in the table, which shows without the script, too; the newest ones.
_ROWS = 20
#: Characters of a text in the table and the remarks.
_TEXT_LENGTH = 1000


class Tile(NamedTuple):
    """One of the figures at the top of the page."""

    label: str
    value: str
    is_bad: bool


class Level(NamedTuple):
    """A row of the table of levels."""

    name: str
    most: str
    last: str


def render(timeline: Timeline, *, is_report: bool = False) -> str:
    """Return the page of a timeline, or that of a performance report.

    It can be encoded as UTF-8, whatever the records hold.

    Examples
    --------
    >>> render(Timeline()).startswith("<!doctype html>")
    True
    """
    figures = Figures(timeline)
    environment = Environment(
        autoescape=True, finalize=_shown, undefined=StrictUndefined
    )
    style = _read("style.css")
    # In a function: a name of the script must not be taken for one of the browser's.
    parts = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    schedulers = _schedulers(figures)
    return environment.from_string(_read("page.html")).render(
        title="Performance report" if is_report else "Timeline",
        style=Markup(style),
        style_hash=Markup(hash_of(style)),
        script=Markup(script),
        script_hash=Markup(hash_of(script)),
        range=_range(figures),
        tiles=_tiles(figures),
        remarks=[*remarks(figures)],
        headings=_headings(figures),
        tables=[*tables(figures)] if is_report else [],
        totals=_totals(figures),
        levels=_levels(figures),
        schedulers=schedulers,
        older=_older(figures, len(schedulers)),
        data=Markup(embed(figures.plain())),
    )


def _read(name: str) -> str:
    return FOLDER.joinpath(name).read_text("utf-8")


def embed(value: object) -> str:
    """Write a value as JSON that neither an HTML parser nor a script takes for code.

    Examples
    --------
    >>> print(embed("</script>"))
    "\\u003c/script\\u003e"
    """
    # Not as ASCII: an emoji would take three times as much.
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _shown(value: Any) -> Any:
    """Show control characters of a text as escapes."""
    return one_line(value, _TEXT_LENGTH) if type(value) is str else value


def _range(figures: Figures) -> str:
    if figures.is_empty:
        return "The log has no records with a time."
    return (
        f"{_time(figures.start)} to {_time(figures.end)} UTC, "
        f"{duration(figures.end - figures.start)}"
    )


def _tiles(figures: Figures) -> list[Tile]:
    totals, known = figures.totals, bool(figures.transitions)
    finished, erred = totals["finished"], totals[figures.errors]
    lost, missing = totals["lost"], totals["missing"]
    peak, tasks = figures.memory_peak, figures.timeline.tasks
    labels = "Transitions into memory", "Transitions into erred"
    if tasks.runs:
        labels = "Tasks finished", "Tasks erred"
        finished, known = tasks.runs - tasks.erred, True
    return [
        Tile(labels[0], number(finished) if known else "-", False),
        Tile(labels[1], number(erred) if known else "-", erred > 0),
        Tile("Workers at most", number(figures.most["workers"]), False),
        Tile("Workers lost", number(lost), lost > 0),
        Tile("Records missing", number(missing), missing > 0),
        Tile(
            "Memory at most",
            "-" if peak is None else str(peak),
            peak is not None and peak.is_nearly_full,
        ),
    ]


def _headings(figures: Figures) -> dict[str, str]:
    """Return what stands next to the headings of the panels, by panel."""
    totals, transitions = figures.totals, figures.transitions
    runs = len(figures.schedulers) + figures.timeline.n_settled
    killed = sum(figures.fate(run) == "killed" for run in figures.schedulers)
    losses = [
        counted(totals["lost"], "worker"),
        counted(totals["dropped"], "record", "dropped"),
        counted(totals["missing"], "record", "missing"),
        counted(totals["warned"], "warning"),
    ]
    return {
        "schedulers": counted(runs, "scheduler")
        + (f", {number(killed)} without a stop" if killed else ""),
        "tasks": counted(transitions, "transition")
        if transitions
        else "no transitions in this log",
        "memory": "no samples in this log"
        if figures.memory_peak is None
        else f"{figures.memory_peak} at most, {_time(figures.memory_peak.ms)}",
        "workers": f"{number(figures.last['workers'])} at the end, "
        f"{number(figures.most['workers'])} at most",
        "stream": _stream_heading(figures),
        "erred": _erred_heading(figures),
        "losses": ", ".join(part for part in losses if part[:2] != "0 ") or "none",
    }


def _erred_heading(figures: Figures) -> str:
    n = figures.totals[figures.errors]
    if figures.errors == "failed" and (n or figures.runs):
        return counted(n, "task", "erred")
    if figures.transitions:
        return counted(n, "transition", "into erred")
    return "not known"


def _stream_heading(figures: Figures) -> str:
    if not figures.runs:
        return "no runs of tasks in this log"
    runs = counted(figures.timeline.tasks.runs, "run")
    return f"{runs} in {counted(len(figures.runs['rows']), 'thread')}"


def _totals(figures: Figures) -> list[tuple[str, str]]:
    tasks = figures.timeline.tasks
    rows = [("records", figures.timeline.n_records)]
    rows += [("runs of tasks", tasks.runs)]
    rows += [("tasks that erred because of another one", tasks.blamed)]
    rows += [(label, figures.totals[name]) for name, label in _TOTALS.items()]
    return [(label, number(n)) for label, n in rows]


def _levels(figures: Figures) -> list[Level]:
    names = [*(STATES if figures.states_known else ()), "workers"]
    return [
        Level(name, number(figures.most[name]), number(figures.last[name]))
        for name in names
    ]


def _schedulers(figures: Figures) -> list[tuple[str, ...]]:
    """Return the rows of the table of schedulers: id, address, first, last, end."""
    return [
        (
            run.id,
            run.address,
            _time(run.first),
            _time(run.last),
            f"stopped: {run.reason}"
            if run.reason
            else figures.verdict(run) or figures.fate(run),
        )
        for run in figures.schedulers[-_ROWS:]
    ]


def _older(figures: Figures, listed: int) -> str:
    """Return how many schedulers are not listed; empty if none."""
    older = len(figures.schedulers) - listed + figures.timeline.n_settled
    return number(older) if older else ""


def _time(ms: int) -> str:
    return rfc3339(ms / 1000)[:23].replace("T", " ")
