"""EventLog: the file of one scheduler's records."""

from __future__ import annotations

import logging
from typing import Any

from leandask.records import EVENTS
from leandask.sinks import RotatingFileSink


class EventLog(RotatingFileSink):
    """Writes the records of one scheduler to a file, from now until it is closed.

    Where the logger of the events, or one above it, has no level of its own, it is set
    to INFO, as logging's default would let warnings pass only.

    Parameters
    ----------
    path : str
        File to append to.
    scheduler_id : str
        Scheduler whose records it takes: one process may run several.
    """

    def __init__(self, path: str, scheduler_id: str) -> None:
        super().__init__(path)
        self.scheduler_id = scheduler_id
        EVENTS.addHandler(self)
        above = logging.getLogger("leandask")
        if not EVENTS.level and not above.level:
            above.setLevel(logging.INFO)

    def filter(self, record: logging.LogRecord) -> Any:
        """Refuse what is not of the scheduler."""
        if getattr(record, "scheduler_id", None) != self.scheduler_id:
            return False
        return super().filter(record)

    def close(self) -> None:
        """Write what waits, and leave the logger."""
        EVENTS.removeHandler(self)
        super().close()
