"""EventLog: the file of one scheduler's records."""

from __future__ import annotations

import logging

from leandask import config
from leandask.loglevel import HeldLevel, is_held
from leandask.records import EVENTS, TRANSITIONS
from leandask.sinks import RotatingFileSink


class EventLog(RotatingFileSink):
    """Writes the records of one scheduler to a file, from now until it is closed.

    Where the logger of the events, or the one above it, has no level of its own, it is
    set to INFO meanwhile: logging's default would let warnings pass only.

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
        # At both, as the user may have either not propagate.
        EVENTS.addHandler(self)
        TRANSITIONS.addHandler(self)
        above = logging.getLogger("leandask")
        self._level: HeldLevel | None = None
        if not EVENTS.level and (not above.level or is_held(above)):
            self._level = HeldLevel(above, logging.INFO)

    @classmethod
    def of(cls, scheduler_id: str) -> EventLog | None:
        """Open the event log of the configuration, if there is one."""
        path = config.read("event-log.path")
        return cls(path, scheduler_id) if path else None

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record of the scheduler, and refuse any other."""
        if record.__dict__.get("scheduler_id") != self.scheduler_id:
            return False
        return bool(super().handle(record))

    def close(self) -> None:
        """Write what waits, and leave the loggers."""
        EVENTS.removeHandler(self)
        TRANSITIONS.removeHandler(self)
        if self._level is not None:
            self._level.release()
        super().close()
