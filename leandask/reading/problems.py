"""Problems: what is wrong with a log, counted, and told of by its place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from leandask.records.text import NAME_LENGTH, one_line

#: Problems kept with their places, 300 bytes each; all are counted.
NOTICES = 100
#: Schedulers whose records are told apart, 200 bytes each.
SCHEDULERS = 1000

#: What comes of a record with a wrong or missing field.
WRONG = (AttributeError, LookupError, OverflowError, TypeError, ValueError)

#: Kinds of problems, each with what it means.
KINDS: dict[str, str] = {
    "torn": "lines that end too early, at the end of a file: of a killed scheduler",
    "corrupt": "lines that are no JSON, or no record",
    "foreign": "lines of JSON that are no records of leandask",
    "unreadable": "files that can't be read to their end",
    "gap": "gaps in the numbers of records: what is missing there was lost",
    "repeated": "numbers that go back: records that are there twice, or out of order",
    "cut": "schedulers whose first records are missing: rotated away, perhaps",
    "scheduler": "schedulers after the first one",
    "newer": "records of a newer version of the schema",
}


class Problem(NamedTuple):
    """One problem of a log."""

    #: One of :data:`KINDS`.
    kind: str
    path: Path
    #: Number of the line in the file, from 1.
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


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
    #: The first :data:`NOTICES` of them, in the order of the log.
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

    def add(self, kind: str, path: Path, line: int, text: str) -> None:
        """Count a problem, and keep the place of the first ones."""
        self.counts[kind] += 1
        if len(self.notices) < NOTICES:
            self.notices.append(Problem(kind, path, line, one_line(text, NAME_LENGTH)))


class Sequence:
    """Follows the numbers of the records, which have no gap where none was lost.

    Parameters
    ----------
    problems : Problems
        Told of gaps, and of each further scheduler.
    """

    #: Scheduler of the last record, and the number that its next one should have.
    scheduler_id: str
    next: int

    def __init__(self, problems: Problems) -> None:
        self.scheduler_id = ""
        self.next = 0
        self._problems = problems
        #: The next number by scheduler, but for the last one's.
        self._others: dict[str, int] = {}

    def step(self, scheduler_id: str, seq: int, path: Path, line: int) -> None:
        """Take the next record's number.

        Parameters
        ----------
        scheduler_id, seq
            Of the record.
        path, line
            Where it is.
        """
        if scheduler_id != self.scheduler_id:
            self._switch(scheduler_id, seq, path, line)
        if seq > self.next:
            n = seq - self.next
            self._problems.missing += n
            text = f"{n} records are missing between {self.next - 1} and {seq}"
            self._problems.add("gap", path, line, text)
        elif seq < self.next:
            text = f"record {seq} comes after {self.next - 1}"
            self._problems.add("repeated", path, line, text)
        self.next = max(self.next, seq + 1)

    def _switch(self, scheduler_id: str, seq: int, path: Path, line: int) -> None:
        if self.scheduler_id:
            self._others[self.scheduler_id] = self.next
            if len(self._others) > SCHEDULERS:
                del self._others[next(iter(self._others))]
        is_new = scheduler_id not in self._others
        if is_new and self.scheduler_id:
            text = f"records of {scheduler_id} begin, after {self.scheduler_id}"
            self._problems.add("scheduler", path, line, text)
        if is_new and seq != 1:
            text = f"the first record of {scheduler_id} is its number {seq}"
            self._problems.add("cut", path, line, text)
        self.scheduler_id = scheduler_id
        self.next = seq if is_new else self._others.pop(scheduler_id)
