"""SchedulerRun: what a log says about one scheduler that wrote to it."""

from __future__ import annotations

from typing import Any

from leandask.reading.histogram import Histogram
from leandask.reading.lives import Life, Memory
from leandask.reading.sequence import Sequence
from leandask.reading.timeline.columns import LEVELS
from leandask.reading.words import text_of
from leandask.records.schema import STARTED

#: Schedulers with a bar on the page. One usually takes 1 KB, and 7 KB at most if its
#: texts are long, so all take 7 MB at most. With one more, the oldest is settled: only
#: its counts are kept.
SCHEDULERS = 1000
#: Programs whose version is shown, and the characters of one.
VERSIONS, VERSION_LENGTH = ("leandask", "distributed", "dask", "python"), 40


class SchedulerRun(Life):
    """What a timeline shows of one scheduler.

    Parameters
    ----------
    scheduler_id : str
    ms : int
        Time of a record, in milliseconds since the epoch.
    """

    __slots__ = ("counts", "high", "low", "sequence", "versions")

    def __init__(self, scheduler_id: str, ms: int) -> None:
        super().__init__(scheduler_id, ms)
        #: Levels, counted from zero; their lowest and highest values.
        self.counts = [0] * len(LEVELS)
        self.low = [0] * len(LEVELS)
        self.high = [0] * len(LEVELS)
        #: Numbers of its records.
        self.sequence = Sequence()
        #: Versions of what it ran with, by name.
        self.versions: dict[str, str] = {}

    @property
    def shift(self) -> list[int]:
        """Lower bounds of the levels before the log's first record.

        Without them, a level whose beginning is not in the log would be below zero.
        """
        return [-low for low in self.low]

    def note(self, record: dict[str, Any], ms: int) -> Memory | None:
        """Note a record of its life, and the versions that it tells."""
        if record["event_name"] == STARTED:
            for name in VERSIONS:
                if version := text_of(record.get(f"{name}_version"), VERSION_LENGTH):
                    self.versions[name] = version
        return super().note(record, ms)

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
