"""Period: what part of a log may have wanted records, by the names of segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from leandask.eventlog.archive.bucket import Entry
from leandask.eventlog.archive.segments import start_of
from leandask.records.times import seconds_of


class Period(NamedTuple):
    """From when to when there may be wanted records, in seconds since the epoch."""

    begin: float = 0.0
    end: float = float("inf")
    #: Whether the last segments of a run are left out too. They tell how it ended.
    cuts_end: bool = True

    @property
    def has_start(self) -> bool:
        """Whether runs are read from their start."""
        return not self.begin

    def segments(self, entries: list[Entry]) -> list[Entry]:
        """Return the segments among some files that may have wanted records."""
        found = [e for e in entries if start_of(e.name) is not None]
        starts = [start_of(e.name) or 0.0 for e in found]
        if not found or starts[0] > self.end:
            return []
        # A segment has nothing that is newer than the start of the next one.
        ends = [*starts[1:], found[-1].written or float("inf")]
        return [
            entry
            for entry, start, end in zip(found, starts, ends, strict=True)
            if end >= self.begin and (start <= self.end or not self.cuts_end)
        ]


#: All of a log.
EVER = Period()


def period_of(path: Path | str, wanted: Any, cuts_end: bool) -> Period:
    """Return the period of a filter in a log at a URL; of any other, all of the log."""
    if isinstance(path, Path):
        return EVER
    within = getattr(wanted, "within", wanted)
    begin, end = getattr(within, "horizon", ""), getattr(within, "end", "")
    return Period(
        seconds_of(begin) if begin else 0.0,
        seconds_of(end) if end else float("inf"),
        cuts_end,
    )
