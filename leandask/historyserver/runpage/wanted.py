"""Wanted: which records of a log are of one run."""

from __future__ import annotations

from typing import Any

from leandask.reading.filter import Filter
from leandask.reading.matching import needles_of
from leandask.records.schema import SAMPLE


class OfScheduler(Filter):
    """Wants the records of one scheduler that match all parameters.

    Parameters
    ----------
    scheduler_id : str
    before : int, optional
        Number of a record: only older ones are wanted.
    **filters
        As for :class:`Filter`.
    """

    def __init__(self, scheduler_id: str, before: int = 0, **filters: Any) -> None:
        super().__init__(**filters)
        self.scheduler_id = scheduler_id
        self._before = before
        self._is_for_samples = "event_name" in filters
        self.needles = self.needles or needles_of("scheduler_id", [scheduler_id])

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        return (
            record["scheduler_id"] == self.scheduler_id
            and (not self._before or record["seq"] < self._before)
            and (self._is_for_samples or record["event_name"] != SAMPLE)
            and super().matches(record)
        )


class Whole(OfScheduler):
    """Wants all records of a scheduler, also samples."""

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        return bool(record["scheduler_id"] == self.scheduler_id)


def only(block: bytes, numbers: set[int]) -> bytes:
    """Return the lines with these numbers, from 0; the other ones are empty.

    Examples
    --------
    >>> only(b"a\\nb\\nc\\n", {1})
    b'\\nb\\n\\n'
    """
    if not numbers:
        return b""
    lines = enumerate(block.split(b"\n"))
    return b"\n".join([line if i in numbers else b"" for i, line in lines])
