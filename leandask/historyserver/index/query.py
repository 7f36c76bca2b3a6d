"""Query: which runs of the index are wanted, in which order."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from leandask.historyserver.index.index import FIELDS, Index, run_of
from leandask.records.text import printable
from leandask.records.times import moment, rfc3339, seconds_of

#: States of a run.
STATES = ("running", "stopped", "killed", "killed-memory")
#: What runs can be sorted by, "-" in front of it for the largest first.
SORTS = {name: name for name in FIELDS if name not in ("id", "place", "reason")}
SORTS["name"] = "COALESCE(name, scheduler_id)"
SORTS["duration"] = "COALESCE(ended, updated) - started"
#: Runs on a page, and the most that may be asked for.
PER_PAGE, MOST_PER_PAGE = 50, 1000
#: Parameters of a query, and characters of one.
PARAMETERS = (
    *("q", "label", "state", "errors", "prefix", "exception", "since", "until"),
    *("sort", "page", "per_page"),
)
LENGTH = 200
#: Fields that a text is searched in.
_SEARCHED = ("name", "scheduler_id", "labels", "address", "state", "reason")


class Query:
    """A question for runs, as it stands in a URL.

    Parameters
    ----------
    given : mapping of str to sequence of str
        The values of each of :data:`PARAMETERS`; unknown ones are ignored.

    Raises
    ------
    ValueError
        If a value is not valid.

    Examples
    --------
    >>> query = Query({"q": ["etl"], "sort": ["-tasks"], "page": ["2"]})
    >>> query.given, query.page
    ({'q': ['etl'], 'sort': ['-tasks'], 'page': ['2']}, 2)
    """

    def __init__(self, given: Mapping[str, Sequence[str]]) -> None:
        #: The values that are not empty.
        self.given = {
            name: [value[:LENGTH] for value in given[name] if value][:20]
            for name in PARAMETERS
            if any(given.get(name, ()))
        }
        self.page = self._number("page", 1, 10**6)
        self.per_page = self._number("per_page", PER_PAGE, MOST_PER_PAGE)
        self.sort = self._last("sort") or "-started"
        if self.sort.removeprefix("-") not in SORTS:
            raise ValueError(
                f"sort must be one of {', '.join(SORTS)}; got {self.sort!r}"
            )
        self._terms: list[str] = []
        self._values: list[Any] = []
        self._search()

    def _last(self, name: str) -> str:
        return self.given.get(name, [""])[-1]

    def _number(self, name: str, default: int, most: int) -> int:
        text = self._last(name) or str(default)
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise ValueError(f"{name} must be a number from 1 to {most}; got {text!r}")
        return int(text)

    def _search(self) -> None:
        # Texts of runs are in the index as they are shown, with escapes.
        for word in printable(self._last("q")).split():
            found = [f"instr(lower({name}), ?)" for name in _SEARCHED]
            self._add(f"({' OR '.join(found)})", *[word.lower()] * len(found))
        for label in map(printable, self.given.get("label", ())):
            name, has_value, value = label.partition("=")
            one = "SELECT 1 FROM json_each(labels) WHERE key = ?"
            if has_value:
                self._add(f"EXISTS ({one} AND value = ?)", name, value)
            else:
                self._add(f"EXISTS ({one})", name)
        if states := self.given.get("state"):
            if wrong := {*states} - {*STATES}:
                text = f"state must be one of {', '.join(STATES)}; got {min(wrong)!r}"
                raise ValueError(text)
            self._add(f"state IN ({', '.join('?' * len(states))})", *states)
        if self._last("errors") not in ("", "0", "false"):
            self._add("erred > 0")
        for name, field in (("prefix", "prefixes"), ("exception", "exceptions")):
            if text := printable(self._last(name)):
                one = f"SELECT 1 FROM json_each({field}) WHERE instr(lower(value), ?)"
                self._add(f"EXISTS ({one})", text.lower())
        # A run is in a time if a part of it is.
        for name, term in (
            ("since", "COALESCE(ended, updated) >= ?"),
            ("until", "started <= ?"),
        ):
            if text := self._last(name):
                self._add(term, seconds_of(moment(name, text)))

    def _add(self, term: str, *values: Any) -> None:
        self._terms.append(term)
        self._values += values

    def run(self, index: Index) -> tuple[list[dict[str, Any]], int]:
        """Return the runs of the page, and how many there are on all pages."""
        where = f"WHERE {' AND '.join(self._terms)}" if self._terms else ""
        order = SORTS[self.sort.removeprefix("-")]
        direction = "DESC" if self.sort.startswith("-") else "ASC"
        # Not the counts, which take most of the bytes.
        fields = ", ".join(FIELDS)
        with index.connected() as db:
            counted = db.execute(f"SELECT COUNT(*) FROM runs {where}", self._values)
            (total,) = counted.fetchone()
            rows = db.execute(
                f"SELECT {fields} FROM runs {where} "
                f"ORDER BY {order} {direction} NULLS LAST, id LIMIT ? OFFSET ?",
                [*self._values, self.per_page, (self.page - 1) * self.per_page],
            )
            return [run_of(row) for row in rows], total


class FoundRun(NamedTuple):
    """A run, and what the index has of its place."""

    run: dict[str, Any]
    #: Changes with the log.
    signature: str
    #: Bytes of its files.
    nbytes: int


def find_run(index: Index, run_id: str) -> FoundRun | None:
    """Return the run of an id; None if there is none."""
    try:
        with index.connected() as db:
            row = db.execute(
                f"SELECT {', '.join(f'runs.{name}' for name in FIELDS)}, "
                "signature, nbytes "
                "FROM runs LEFT JOIN places ON places.path = runs.place "
                "WHERE runs.id = ?",
                [run_id[: 2 * LENGTH]],
            ).fetchone()
    except (UnicodeError, sqlite3.DataError):  # no text that an id could be
        return None
    if row is None:
        return None
    return FoundRun(run_of(row), row["signature"] or "", row["nbytes"] or 0)


def shown(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run as the API shows it: times as records have them.

    Examples
    --------
    >>> shown({"started": 0.0, "updated": 5.5, "ended": None})
    {'started': '1970-01-01T00:00:00.000000Z', 'updated': \
'1970-01-01T00:00:05.500000Z', 'ended': None, 'duration': 5.5}
    """
    end = run["updated"] if run["ended"] is None else run["ended"]
    start = run["started"]
    known = start is not None and end is not None
    fields = {name: value for name, value in run.items() if name != "place"}
    for name in ("started", "updated", "ended"):
        fields[name] = None if run[name] is None else rfc3339(run[name])
    return fields | {"duration": round(end - start, 3) if known else None}
