"""Totals: what runs of tasks took together, by prefix, by worker and by error."""

from __future__ import annotations

from typing import NamedTuple

from leandask.reading.timeline.taskstream.run import Run
from leandask.records.text import NAME_LENGTH

#: Prefixes and workers with totals of their own, 3 KB each at most; and errors, 5 KB.
#: The others have totals together.
PREFIXES, WORKERS, ERRORS = 1000, 1000, 200
#: Name of the totals of all others.
OTHERS = "(others)"


class Total:
    """What some runs took together. All times are in microseconds."""

    __slots__ = (
        "compute",
        "deserialize",
        "disk",
        "erred",
        "longest",
        "name",
        "nbytes",
        "runs",
        "transfer",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        #: All runs, and those that erred.
        self.runs = self.erred = 0
        self.compute = self.transfer = self.disk = self.deserialize = 0
        #: Longest time of one run to compute.
        self.longest = 0
        #: Bytes of all results.
        self.nbytes = 0

    def add(self, run: Run) -> None:
        """Add a run."""
        self.runs += 1
        self.erred += run.is_erred
        self.compute += run.compute
        self.transfer += run.transfer
        self.disk += run.disk
        self.deserialize += run.deserialize
        self.longest = max(self.longest, run.compute)
        self.nbytes += run.nbytes or 0


class Totals:
    """Totals by name, of a limited number of names.

    Parameters
    ----------
    limit : int
        Names with totals of their own.
    """

    __slots__ = ("_totals", "hidden", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Runs that were added to the totals of the others.
        self.hidden = 0
        # By name, with the number of each in the order of appearance.
        self._totals: dict[str, tuple[int, Total]] = {}

    def add(self, name: str, label: str, run: Run) -> int:
        """Add a run below a name that is shown as `label`; return its number."""
        found = self._totals.get(name)
        if found is None:
            if len(self._totals) >= self.limit:
                name = label = OTHERS
                self.hidden += 1
            number = len(self._totals)
            found = self._totals.setdefault(name, (number, Total(label)))
        found[1].add(run)
        return found[0]

    def all(self) -> list[Total]:
        """Return all totals, by number."""
        return [total for _, total in self._totals.values()]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._totals)}/{self.limit}>"


class Error(NamedTuple):
    """What runs that erred in the same way have in common."""

    prefix: str
    #: Class of the exception, and the start of its text.
    error: str
    reason: str


class Errors:
    """How often runs erred in each way, the first ways that the log shows."""

    __slots__ = ("counts", "hidden")

    def __init__(self) -> None:
        #: Number of runs, and the key of the first, by how they erred.
        self.counts: dict[Error, tuple[int, str]] = {}
        #: Runs that erred in a way that is not counted.
        self.hidden = 0

    def add(self, run: Run) -> None:
        """Add a run that erred."""
        error = Error(run.prefix, run.error, run.reason)
        if error not in self.counts and len(self.counts) == ERRORS:
            self.hidden += 1
            return
        n, key = self.counts.get(error, (0, run.key[:NAME_LENGTH]))
        self.counts[error] = n + 1, key

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.counts)}/{ERRORS}>"
