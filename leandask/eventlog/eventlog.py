"""EventLog: the file of one scheduler's records."""

from __future__ import annotations

import logging
import os

from leandask.eventlog.sink import RotatingFileSink
from leandask.records.loggers import EVENTS, TRANSITIONS, HeldLevel, is_held
from leandask.settings import config

logger = logging.getLogger("leandask")

#: At both, as the user may have either not propagate.
_LOGGERS = EVENTS, TRANSITIONS


class EventLog(RotatingFileSink):
    """Writes the records of one scheduler to a file, from now until :meth:`leave`.

    Where the logger of the events, or the one above it, has no level of its own, it is
    set to INFO meanwhile: logging's default would let warnings pass only.

    Parameters
    ----------
    path : str or os.PathLike
        File to append to.
    scheduler_id : str
        Scheduler whose records it takes: one process may run several.
    """

    def __init__(self, path: str | os.PathLike[str], scheduler_id: str) -> None:
        super().__init__(path)
        self.scheduler_id = scheduler_id
        self._left = False
        self._join()
        self._level: HeldLevel | None = None
        if not EVENTS.level and (not logger.level or is_held(logger)):
            # At DEBUG where the user has the root logger at DEBUG.
            level = min(logging.INFO, logger.getEffectiveLevel() or logging.DEBUG)
            self._level = HeldLevel(logger, level)

    @classmethod
    def of(cls, scheduler_id: str) -> EventLog | None:
        """Open the event log of the configuration, if there is one."""
        path = config.read("event-log.path")
        return cls(path, scheduler_id) if path else None

    def refuses(self, scheduler_id: str) -> bool:
        """Whether :meth:`handle` takes no record of a scheduler."""
        return scheduler_id != self.scheduler_id

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record of the scheduler, and refuse any other."""
        if record.__dict__.get("scheduler_id") != self.scheduler_id:
            return False
        return super().handle(record)

    def stay(self) -> None:
        """Take records again where logging was configured anew, and left this out."""
        if self._left:
            return
        if any([log.disabled or self not in log.handlers for log in _LOGGERS]):
            self._join()
            logger.disabled = False
            logger.warning(
                "Logging was configured anew without the event log %s, which takes "
                "records again; those of the last seconds are not in it",
                self.file.path,
            )

    def leave(self) -> None:
        """Write what waits, close the file, and leave the loggers."""
        self._left = True
        for log in _LOGGERS:
            log.removeHandler(self)
        if self._level is not None:
            self._level.release()
        self.close()

    def _join(self) -> None:
        for log in _LOGGERS:
            log.disabled = False
            log.addHandler(self)
