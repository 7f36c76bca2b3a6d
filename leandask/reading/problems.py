"""Problems: what is wrong with a log, counted by kind, with the first places."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from leandask.eventlog.frames.codec import BrokenFrame, TornFrame
from leandask.reading.lines import InvalidRecord
from leandask.records.text import NAME_LENGTH, one_line

#: Problems of each kind kept with their places, 300 bytes each; all are counted.
NOTICES = 100

#: Kinds of problems, each with what it means.
KINDS: dict[str, str] = {
    "torn": "incomplete lines or frames, as a killed scheduler leaves",
    "corrupt": "lines that are not JSON, or not a record",
    "foreign": "lines of JSON that are not records of leandask",
    "unreadable": "files that can't be read to their end",
    "gap": "gaps in the numbers of records: the missing ones were lost",
    "repeated": "numbers that go back: records that are repeated, or out of order",
    "cut": "schedulers whose first records are missing, probably rotated away",
    "scheduler": "schedulers after the first one",
    "newer": "records of a newer version of the schema",
}


class Problem(NamedTuple):
    """One problem of a log."""

    #: One of :data:`KINDS`.
    kind: str
    #: Or its URL.
    path: Path | str
    #: Number of the line in the file, from 1; 0 if it is not known.
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"{place}: {self.text}"


class Problems:
    """What was wrong with the part of a log that was read.

    Examples
    --------
    >>> problems = Problems()
    >>> problems.add("corrupt", Path("log.jsonl"), 7, "not JSON")
    >>> problems.counts["corrupt"], str(problems.notices[0])
    (1, 'log.jsonl:7: not JSON')
    >>> problems
    <Problems: corrupt 1>
    """

    #: Problems by kind.
    counts: dict[str, int]
    #: The first :data:`NOTICES` of each kind, in the order of the log.
    notices: list[Problem]
    #: Records that are missing in the gaps.
    missing: int

    def __init__(self) -> None:
        self.counts = dict.fromkeys(KINDS, 0)
        self.notices = []
        self.missing = 0

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind} {n}" for kind, n in self.counts.items() if n)
        return f"<{type(self).__name__}: {counts or 'none'}>"

    def __bool__(self) -> bool:
        return any(self.counts.values())

    def add(self, kind: str, path: Path | str, line: int, text: str) -> None:
        """Count a problem, and keep the place of the first ones."""
        self.counts[kind] += 1
        if self.counts[kind] <= NOTICES:
            self.notices.append(Problem(kind, path, line, one_line(text, NAME_LENGTH)))

    def add_invalid(
        self,
        path: Path | str,
        number: int,
        line: bytes,
        error: InvalidRecord,
        kind: str = "",
    ) -> None:
        """Count a line that is not a record, by default under the kind of its error.

        An empty line is no problem: two processes that write one log leave it.
        """
        if not line:
            return
        kind = kind or error.kind
        # A text for each of millions of such lines would take most of the time.
        is_kept = self.counts[kind] < NOTICES
        self.add(kind, path, number, f"{error}: {line[:60]!r}" if is_kept else "")

    def add_unreadable(self, path: Path | str, line: int, error: Exception) -> None:
        """Count a file that can't be read to its end, a frame of it, or all of it."""
        if isinstance(error, TornFrame):
            self.add("torn", path, line, f"{error}, or is being written")
        elif isinstance(error, BrokenFrame):
            self.add("unreadable", path, line, str(error))
        else:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            text = f"could not be read to its end: {reason}"
            self.add("unreadable", path, line, text)
