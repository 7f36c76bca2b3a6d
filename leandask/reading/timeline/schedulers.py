"""Lives: what a log tells of each scheduler that wrote to it."""

from __future__ import annotations

from leandask.reading.histogram import Bins
from leandask.reading.timeline.columns import LEVELS

#: Schedulers that are told apart. What is known of one takes 1 KB, and 7 KB at most
#: where its texts are long, so all take 7 MB at most. With one more, the oldest is
#: settled.
SCHEDULERS = 1000
#: Numbers that a page can tell exactly are below: JavaScript has no larger integers.
EXACT = 2**53


class Life:
    """What a log tells of one scheduler.

    Parameters
    ----------
    scheduler_id : str
    ms : int
        Time of a first record, in milliseconds since the epoch.
    """

    __slots__ = (
        "about",
        "counts",
        "first",
        "first_seq",
        "high",
        "id",
        "last",
        "late",
        "low",
        "missing",
        "reason",
        "seq",
        "started",
        "stopped",
    )

    def __init__(self, scheduler_id: str, ms: int) -> None:
        self.id = scheduler_id
        #: Levels as they are now, counted from zero; their least and their most.
        self.counts = [0] * len(LEVELS)
        self.low = [0] * len(LEVELS)
        self.high = [0] * len(LEVELS)
        #: Times of the earliest and latest record, in milliseconds since the epoch.
        self.first = self.last = ms
        #: Number of the first record in the log, and the highest.
        self.first_seq = self.seq = 0
        #: Records that are missing between these, and those that came after a higher
        #: one, or once more.
        self.missing = self.late = 0
        #: Times of the records of its start and stop, in milliseconds since the epoch.
        self.started: int | None = None
        self.stopped: int | None = None
        #: Why it stopped, and where it listened.
        self.reason = self.about = ""

    @property
    def shift(self) -> list[int]:
        """What was there before the log's first record, at the least.

        Without it, a level whose beginning is not in the log would be below zero.
        """
        return [-low for low in self.low]

    def change(self, level: int, by: int) -> None:
        """Change a level.

        Parameters
        ----------
        level : int
            Index in :data:`~leandask.reading.timeline.columns.LEVELS`.
        by : int
        """
        count = self.counts[level] = self.counts[level] + by
        self.low[level] = min(self.low[level], count)
        self.high[level] = max(self.high[level], count)

    def number(self, seq: object) -> int:
        """Take the number of a record.

        Parameters
        ----------
        seq : object
            As the record has it.

        Returns
        -------
        int
            Records that are missing before it.

        Raises
        ------
        ValueError
            If it is none.
        """
        if type(seq) is not int or not 0 < seq < EXACT:
            raise ValueError("seq")
        if not self.seq:
            self.first_seq = self.seq = seq
            return 0
        if seq <= self.seq:
            self.late += 1
            return 0
        missing = seq - self.seq - 1
        self.missing += missing
        self.seq = seq
        return missing

    def settle(self, bins: Bins, end: int | None) -> None:
        """Write into bins what was there before the log, and that all went at the end.

        Parameters
        ----------
        bins : Bins
            Of the columns in :mod:`leandask.timeline.columns`.
        end : int or None
            Milliseconds since the epoch; None for a scheduler that goes on.
        """
        if any(self.low):
            row = bins.row(self.first)
            for level, shift in enumerate(self.shift):
                row[level] += shift
        if end is not None:
            row = bins.row(end)
            for level, shift in enumerate(self.shift):
                row[level] -= self.counts[level] + shift

    def end(self, others: list[Life]) -> int:
        """Return when it ended.

        Parameters
        ----------
        others : list of Life
            All schedulers of the log.

        Returns
        -------
        int
            Milliseconds since the epoch. Where no record tells, the start of the next
            scheduler: it can have lived so long.
        """
        if self.stopped is not None:
            return max(self.stopped, self.last)
        following = self._following(others)
        return self.last if following is None else following

    def goes_on(self, others: list[Life]) -> bool:
        """Whether it still ran at the end of the log, as far as is known.

        Parameters
        ----------
        others : list of Life
            All schedulers of the log.

        Returns
        -------
        bool
            False also where another one began after its last record: it was killed.
        """
        return self.stopped is None and self._following(others) is None

    def _following(self, others: list[Life]) -> int | None:
        """When the first scheduler began that came after its last record."""
        return min((o.first for o in others if o.first > self.last), default=None)

    def __repr__(self) -> str:
        return f"<Life {self.id!r}: {self.first} to {self.last}, seq {self.seq}>"
