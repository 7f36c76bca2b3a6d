"""EventLog: the file of one scheduler's records."""

from __future__ import annotations

import errno
import logging
import os
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from leandask.eventlog.sink import RotatingFileSink
from leandask.records.loggers import (
    EVENTS,
    RECORD_LOGGERS,
    SAMPLES,
    TASKS,
    HeldLevel,
    is_held,
)
from leandask.settings import config
from leandask.settings.logpath import UnusablePath, fill
from leandask.settings.rules import is_url

if TYPE_CHECKING:
    from leandask.eventlog.archive.archive import Archive

logger = logging.getLogger("leandask")

#: Errors of opening a file that may pass: the scheduler starts, and tries again later.
PASSING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.ESTALE),
}

#: The event logs of this process that are open.
_attached: WeakSet[EventLog] = WeakSet()


class EventLog(RotatingFileSink):
    """Writes the records of one scheduler to a file, until :meth:`detach`.

    Where neither ``leandask.events`` nor ``leandask`` has a level, ``leandask`` is held
    at INFO meanwhile: the default of logging lets only warnings pass.

    One process may run several schedulers: it takes only records of ``scheduler_id``.

    Parameters
    ----------
    path : str or os.PathLike
    scheduler_id : str
    archive : Archive, optional
        Gets each record that it takes, and its line. It is closed with it.
    **options
        As for :class:`RotatingFileSink`.

    Raises
    ------
    UnusablePath
        If the file can't be opened, for a reason that does not pass by itself.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        scheduler_id: str,
        archive: Archive | None = None,
        **options: Any,
    ) -> None:
        self.archive = archive
        try:
            super().__init__(path, **options)
            self._open_now()
        except OSError as e:
            raise UnusablePath(
                f"leandask.event-log.path must be a path that this process can append "
                f"to ({e}); got {os.fspath(path)!r}"
            ) from e
        self.scheduler_id = scheduler_id
        self._is_detached = False
        self._last_seq = self._missing = 0
        self._is_ending = False
        self._opened = time.time(), time.monotonic()
        logger.info("Event log: %s", self.file.path)
        if any(log.file is self.file for log in _attached):
            logger.warning(
                "Another scheduler of this process writes to the event log %s, too. "
                "{scheduler_id} in leandask.event-log.path gives each its own",
                self.file.path,
            )
        _attached.add(self)
        self._attach()
        self._level: HeldLevel | None = None
        if not EVENTS.level and (not logger.level or is_held(logger)):
            # At DEBUG where the user has the root logger at DEBUG.
            level = min(logging.INFO, logger.getEffectiveLevel() or logging.DEBUG)
            self._level = HeldLevel(logger, level)

    @classmethod
    def of(cls, scheduler_id: str) -> EventLog | None:
        """Open the event log of the configuration, if it has one."""
        path, url = config.read("event-log.path"), config.read("event-log.archive")
        if path and is_url(path):
            if url not in (None, path):
                raise UnusablePath(
                    "leandask.event-log.archive must be null where "
                    f"leandask.event-log.path is a URL; got {url!r}"
                )
            path, url = None, path
        if url is None:
            return cls(fill(path, scheduler_id), scheduler_id) if path else None
        from leandask.eventlog.archive.archive import Archive  # most logs have none

        archive = Archive.of(url, path, scheduler_id)
        try:
            if path:
                log = cls(fill(path, scheduler_id), scheduler_id, archive)
            else:  # for get_history, and no larger than a segment
                most = config.read("event-log.archive-bytes")
                options = {"max_bytes": most, "backups": 1, "compression": "auto"}
                log = cls(archive.recent, scheduler_id, archive, **options)
        except BaseException:
            archive.discard()
            raise
        archive.start()
        return log

    def _open_now(self) -> None:
        try:
            self.open()
        except OSError as e:
            if e.errno not in PASSING:
                raise

    def refuses(self, scheduler_id: str) -> bool:
        """Whether :meth:`handle` ignores all records of a scheduler."""
        return scheduler_id != self.scheduler_id

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record of the scheduler; ignore any other LogRecord."""
        if record.__dict__.get("scheduler_id") != self.scheduler_id:
            return False
        return super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Add the line of a record, unless a later one came first."""
        if self._is_new(record.__dict__.get("seq")):  # the handler's lock is held
            super().emit(record)

    def write_fields(self, fields: dict[str, Any], level: int) -> None:
        """Write the fields of a record, unless a later one came first."""
        line = self.formatter.encode_fields(fields)  # type: ignore[union-attr]
        seq = fields["seq"]
        with self.lock:  # type: ignore[union-attr]
            # As in _is_new, which takes a while to call for every record.
            if not self._is_ending or seq > self._last_seq:
                self._last_seq = seq
                self.add(line, level, fields)
        if self.buffer.is_due:
            self._flush()
        if self.archive is not None:
            self.archive.flush_if_full()

    def add(self, line: bytes, level: int, fields: dict[str, Any]) -> None:
        """Add a line to what waits, here and for the archive."""
        self.buffer.add(line, level)
        if self.archive is not None:
            self.archive.take(fields, line, level)

    def flush(self) -> None:
        """Write all lines that wait; never raises."""
        super().flush()
        if self.archive is not None:
            self.archive.flush()

    def flush_if_due(self) -> None:
        """Write the lines that have waited for the flush interval; never raises."""
        super().flush_if_due()
        if self.archive is not None:
            self.archive.flush_if_due()

    def _is_new(self, seq: int | None) -> bool:
        if seq is None or (self._is_ending and seq <= self._last_seq):
            return False
        self._last_seq = seq
        return True

    def end(self) -> None:
        """Ignore a record from now on if a later one came first.

        At the end, two threads may hand over the same records, each in their order.
        """
        self._is_ending = True

    def missing_before(self, seq: int) -> int:
        """Return how many records before a number have no line, for whatever reason.

        All lines are written before that, with a last try where the file failed, so
        that there is room for one more line.
        """
        if seq > self._last_seq:
            self.retry.allow()
            self._flush(self.close_timeout)
            self._missing = seq - 1 - self.lines_written - self.buffer.lines
        return self._missing

    def earliest(self) -> float:
        """Return a time before which it has no record, in seconds since the epoch.

        It holds even if the clock was set back meanwhile.
        """
        opened, monotonic = self._opened
        return min(opened, time.time() - (time.monotonic() - monotonic))

    def reattach(self) -> None:
        """Attach to the loggers again where a new logging configuration detached it."""
        if self._is_detached:
            return
        if any([log.disabled or self not in log.handlers for log in RECORD_LOGGERS]):
            self._attach()
            logger.disabled = False
            logger.warning(
                "A new logging configuration left out the event log %s. It is "
                "attached again; records of the last seconds may be missing",
                self.file.path,
            )

    def detach(self, timeout: float = 0.0) -> None:
        """Write all lines, close the file, and detach from the loggers.

        `timeout` is the longest wait in seconds for the archive, if it has not ended.
        """
        self._is_detached = True
        _attached.discard(self)
        for log in RECORD_LOGGERS:
            log.removeHandler(self)
        if self._level is not None:
            self._level.release()
        self.close()
        if self.archive is not None:
            self.archive.close(timeout)

    def _attach(self) -> None:
        for log in (SAMPLES, TASKS):  # a new logging configuration may have reset it
            log.propagate = False
        for log in RECORD_LOGGERS:  # each, as the user may set it not to propagate
            log.disabled = False
            log.addHandler(self)
