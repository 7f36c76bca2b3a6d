"""Timeline page: one HTML file that needs nothing beside itself.

Whatever comes from a record is hostile. It reaches the page as JSON in a block that is
no script, with the characters that could end that block escaped; the page's own script
shows it as text only. The page may run that one script, and load nothing.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path

from leandask._csp import hash_of
from leandask.reading.timeline.columns import STATES
from leandask.reading.timeline.figures import Figures
from leandask.reading.timeline.remarks import remarks
from leandask.reading.timeline.timeline import Timeline
from leandask.reading.timeline.words import counted, duration, number
from leandask.records.text import one_line
from leandask.records.times import rfc3339

#: What is counted, as the table of totals names it.
_TOTALS = {
    "finished": "transitions into memory",
    "erred": "transitions into erred",
    "moved": "other transitions",
    "lost": "workers lost",
    "dropped": "records dropped",
    "missing": "records missing by seq",
    "warned": "other warnings",
}
#: Schedulers in the table, which the script need not run for; the newest ones.
_ROWS = 20


def render(timeline: Timeline) -> str:
    """Make the page.

    Parameters
    ----------
    timeline : Timeline

    Returns
    -------
    str
        It can be encoded as UTF-8 whatever the records hold.

    Examples
    --------
    >>> render(Timeline()).startswith("<!doctype html>")
    True
    """
    figures = Figures(timeline)
    template = Path(__file__).with_name("page.html").read_text("utf-8")
    values = {
        "style-hash": hash_of(template, "style"),
        "script-hash": hash_of(template, "script"),
        "range": _range(figures),
        "tiles": _tiles(figures),
        "remarks": _list(remarks(figures)),
        "lives": _lives_heading(figures),
        "tasks": _tasks_heading(figures),
        "workers": _workers_heading(figures),
        "erred": _erred_heading(figures),
        "losses": _losses_heading(figures),
        "totals": _totals(figures),
        "schedulers": _schedulers(figures),
        "data": embed(figures.plain()),
    }
    # In one pass, so that no value is searched for places of others.
    return re.sub(r"<!--\{(.*?)\}-->", lambda place: values[place[1]], template)


def embed(value: object) -> str:
    """Write a value as JSON that no HTML parser and no script can take for code.

    Parameters
    ----------
    value : object
        Plain JSON values.

    Returns
    -------
    str

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


def _range(figures: Figures) -> str:
    if not figures.starts:
        return "The log has no records with a time."
    return (
        f"{_time(figures.start)} to {_time(figures.end)} UTC, "
        f"{duration(figures.end - figures.start)}"
    )


def _tiles(figures: Figures) -> str:
    totals = figures.totals
    lost, known = totals["lost"], figures.transitions
    finished, erred = (totals[n] if known else None for n in ("finished", "erred"))
    tiles = [
        ("Transitions into memory", finished, ""),
        ("Transitions into erred", erred, "bad" if erred else ""),
        ("Workers at most", figures.most["workers"], ""),
        ("Workers lost", lost, "bad" if lost else ""),
        ("Records missing", totals["missing"], "bad" if totals["missing"] else ""),
    ]
    return "".join(
        f'<div><dt>{label}</dt><dd class="{tone}">{"-" if n is None else number(n)}'
        "</dd></div>"
        for label, n, tone in tiles
    )


def _lives_heading(figures: Figures) -> str:
    fates = [figures.fate(life) for life in figures.lives]
    killed = fates.count("killed")
    count = counted(len(fates) + figures.timeline.n_settled, "scheduler")
    return count + (f", {number(killed)} without a stop" if killed else "")


def _tasks_heading(figures: Figures) -> str:
    if not figures.transitions:
        return "no transitions in this log"
    return counted(figures.transitions, "transition")


def _erred_heading(figures: Figures) -> str:
    if not figures.transitions:
        return "not known"
    return counted(figures.totals["erred"], "transition", "into erred")


def _workers_heading(figures: Figures) -> str:
    return (
        f"{number(figures.last['workers'])} at the end, "
        f"{number(figures.most['workers'])} at most"
    )


def _losses_heading(figures: Figures) -> str:
    totals = figures.totals
    parts = [
        counted(totals["lost"], "worker"),
        counted(totals["dropped"], "record", "dropped"),
        counted(totals["missing"], "record", "missing"),
        counted(totals["warned"], "warning"),
    ]
    return ", ".join(part for part in parts if part[:2] != "0 ") or "none"


def _totals(figures: Figures) -> str:
    rows = [("records", figures.timeline.n_records)]
    rows += [(label, figures.totals[name]) for name, label in _TOTALS.items()]
    body = "".join(
        f'<tr><th scope="row">{label}</th><td>{number(n)}</td></tr>'
        for label, n in rows
    )
    names = [*(STATES if figures.states_known else ()), "workers"]
    levels = "".join(
        f'<tr><th scope="row">{name}</th><td>{number(figures.most[name])}</td>'
        f"<td>{number(figures.last[name])}</td></tr>"
        for name in names
    )
    return (
        f"<table><caption>Counted over the whole log</caption>{body}</table>"
        "<table><caption>Tasks by state, and workers</caption>"
        '<tr><th></th><th scope="col">at most</th><th scope="col">at the end</th></tr>'
        f"{levels}</table>"
    )


def _schedulers(figures: Figures) -> str:
    rows = []
    for life in figures.lives[-_ROWS:]:
        fate = figures.fate(life)
        cells = [
            life.id,
            life.about,
            _time(life.first),
            _time(life.last),
            f"stopped: {life.reason}" if life.reason else fate,
        ]
        rows.append("".join(f"<td>{_escape(cell)}</td>" for cell in cells))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    heads = ("id", "address", "first record", "last record", "end")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    older = len(figures.lives) - len(rows) + figures.timeline.n_settled
    more = f" ({number(older)} older ones are not listed)" if older else ""
    return f"<table><caption>Schedulers{more}</caption><tr>{head}</tr>{body}</table>"


def _list(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{_escape(text)}</li>" for text in texts)
    return f'<ul class="remarks" aria-label="Remarks">{items}</ul>' if items else ""


def _escape(text: str) -> str:
    return html.escape(one_line(text, 1000))


def _time(ms: int) -> str:
    return rfc3339(ms / 1000)[:23].replace("T", " ")
