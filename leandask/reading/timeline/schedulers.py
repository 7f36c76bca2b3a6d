"""SchedulerRun: what a log says about one scheduler that wrote to it."""

from __future__ import annotations

from leandask.reading.histogram import Histogram
from leandask.reading.sequence import Sequence
from leandask.reading.timeline.columns import LEVELS

#: Schedulers with a bar on the page. One usually takes 1 KB, and 7 KB at most if its
#: texts are long, so all take 7 MB at most. With one more, the oldest is settled: only
#: its counts are kept.
SCHEDULERS = 1000


class SchedulerRun:
    """What a log says about one scheduler.

    Parameters
    ----------
    scheduler_id : str
    ms : int
        Time of a record, in milliseconds since the epoch.
    """

    __slots__ = (
        "address",
        "counts",
        "first",
        "high",
        "id",
        "last",
        "low",
        "reason",
        "sequence",
        "started",
        "stopped",
    )

    def __init__(self, scheduler_id: str, ms: int) -> None:
        self.id = scheduler_id
        #: Levels, counted from zero; their lowest and highest values.
        self.counts = [0] * len(LEVELS)
        self.low = [0] * len(LEVELS)
        self.high = [0] * len(LEVELS)
        #: Times of the earliest and latest record, in milliseconds since the epoch.
        self.first = self.last = ms
        #: Numbers of its records.
        self.sequence = Sequence()
        #: Times of the records of its start and stop, in milliseconds since the epoch.
        self.started: int | None = None
        self.stopped: int | None = None
        #: Why it stopped, and where it listened.
        self.reason = self.address = ""

    @property
    def shift(self) -> list[int]:
        """Lower bounds of the levels before the log's first record.

        Without them, a level whose beginning is not in the log would be below zero.
        """
        return [-low for low in self.low]

    def change(self, level: int, by: int) -> None:
        """Change a level, by its index in ``LEVELS``."""
        count = self.counts[level] = self.counts[level] + by
        self.low[level] = min(self.low[level], count)
        self.high[level] = max(self.high[level], count)

    def settle(self, histogram: Histogram, end: int | None) -> None:
        """Add the levels before the log to a histogram, and set them to 0 at the end.

        Parameters
        ----------
        histogram : Histogram
            With the columns of :mod:`leandask.reading.timeline.columns`.
        end : int or None
            Milliseconds since the epoch; None for a scheduler that still runs.
        """
        if any(self.low):
            row = histogram.row(self.first)
            for level, shift in enumerate(self.shift):
                row[level] += shift
        if end is not None:
            row = histogram.row(end)
            for level, shift in enumerate(self.shift):
                row[level] -= self.counts[level] + shift

    def end(self, others: list[SchedulerRun]) -> int:
        """Return when it ended, in milliseconds since the epoch.

        If no record says so, that is when the next one of the `others` started.
        """
        if self.stopped is not None:
            return max(self.stopped, self.last)
        following = self._following(others)
        return self.last if following is None else following

    def is_running(self, others: list[SchedulerRun]) -> bool:
        """Whether it still ran at the end of the log, as far as is known.

        If one of the `others` started after its last record, it was killed.
        """
        return self.stopped is None and self._following(others) is None

    def _following(self, others: list[SchedulerRun]) -> int | None:
        """Return when the first scheduler started after its last record."""
        return min((o.first for o in others if o.first > self.last), default=None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r}: {self.first} to {self.last} ms>"
