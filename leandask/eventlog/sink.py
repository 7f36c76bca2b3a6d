"""RotatingFileSink: LogRecords as lines of a file, buffered and rotated by size."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from leandask._fork import leave_to_parent
from leandask.eventlog.formatter import JSONFormatter
from leandask.eventlog.linewriter import LineWriter, Retry
from leandask.eventlog.rotatingfile import RotatingFile
from leandask.records.recordsink import is_unmodified
from leandask.settings import config
from leandask.settings.logpath import UnusablePath, as_compressed
from leandask.settings.rules import as_path

#: Methods that a LogRecord passes through and that ``write_fields`` skips.
SINK_METHODS = (
    *("handle", "filter", "acquire", "release"),
    *("emit", "format", "handleError"),
)
FORMATTER_METHODS = ("format", "encode", "fields")


class RotatingFileSink(LineWriter, logging.Handler):
    """Appends each LogRecord to a file as one line.

    Lines are buffered and written together: when 64 KiB wait (256 KiB for a compressed
    file), after `flush_interval`, at WARNING and above, and when the sink is closed. Of
    more than 20 warnings in a row, those of the same 0.1 s are written together. A file
    that it makes is for its owner alone (mode 0600). A file that was moved away is
    opened again.

    A file that can't be written raises nothing: up to 4 MiB of lines wait, and the sink
    tries again, after longer and longer waits. Lines that do not fit are counted as
    lost. Both are reported on the logger ``leandask``. A line that was only written in
    part is removed, so that the file always holds whole lines.

    Parameters
    ----------
    filename : str or os.PathLike
        File to append to. A missing folder is created. A pipe, a device or a socket is
        never rotated or compressed. A symbolic link is followed once, now.
    max_bytes : int, str or None, optional
        Size at which the file is rotated to ``filename.1``; None never rotates. A file
        that can't be renamed grows beyond it: that is reported, and tried again once a
        minute. Default: ``leandask.event-log.max-bytes``.
    backups : int, optional
        Rotated files kept. Default: ``leandask.event-log.backups``.
    flush_interval : float or str, optional
        Longest time in seconds that a line waits. Default:
        ``leandask.event-log.flush-interval``.
    compress : bool, optional
        Whether rotated files are gzipped, as ``filename.1.gz``, in a thread. Default:
        ``leandask.event-log.compress``.
    compression : str, optional
        How the file is compressed as it is written: ``"gzip"``, ``"zstd"``, ``"none"``,
        or ``"auto"``, by the ending of its name, ``.gz`` or ``.zst``. A name without it
        gets it. Default: ``leandask.event-log.compression``.
    retry_interval, max_retry_interval : float, optional
        Seconds until a failed write is tried again: after the first failure, and at
        most. Each further failure doubles the wait.
    close_timeout : float, optional
        Longest time in seconds that :meth:`close` and :meth:`flush` wait for a write
        that hangs in another thread.
    report_interval : float, optional
        Shortest time in seconds between two reports of failed rotations.

    Raises
    ------
    TypeError, ValueError
        If a parameter breaks its rule.
    OSError
        If another user may have put the file there.

    Notes
    -----
    A scheduler's stream calls :meth:`flush_if_due`, which keeps the flush interval.
    Without such a caller a line waits until the next one is written.

    A subclass may override any method of :class:`logging.Handler`, and an instance may
    have another formatter and filters. Where there are none of these, and no other
    handler, the stream skips the LogRecord and calls :meth:`write_fields`.

    See Also
    --------
    logging.handlers.RotatingFileHandler : writes each record by itself.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        max_bytes: int | str | None = config.OMITTED,
        backups: int = config.OMITTED,
        flush_interval: float | str = config.OMITTED,
        compress: bool = config.OMITTED,
        compression: str = config.OMITTED,
        *,
        retry_interval: float = 1.0,
        max_retry_interval: float = 60.0,
        close_timeout: float = 1.0,
        report_interval: float = 60.0,
    ) -> None:
        path, compression = as_compressed(
            os.path.abspath(as_path("filename", filename)),
            config.read("event-log.compression", compression),
        )
        try:
            file = RotatingFile.at(
                Path(path),
                config.read("event-log.max-bytes", max_bytes),
                config.read("event-log.backups", backups),
                config.read("event-log.compress", compress),
                compression,
            )
        except ImportError as e:
            raise UnusablePath(
                f"leandask.event-log.compression must be gzip or none here, as {e}; "
                f"got {compression!r} for {path!r}"
            ) from e
        self.file: RotatingFile = file
        # What can be refused comes first: logging flushes each Handler at exit.
        interval = config.read("event-log.flush-interval", flush_interval)
        logging.Handler.__init__(self)
        LineWriter.__init__(
            self,
            file,
            interval,
            Retry(retry_interval, max_retry_interval),
            close_timeout,
            report_interval,
        )
        self.setFormatter(JSONFormatter())
        leave_to_parent(self)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {str(self.file.path)!r}: "
            f"{self.lines_written} lines, {len(self.buffer)} bytes wait>"
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Add the line of a LogRecord to the buffer; never raises."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace")
            self.add(line, record.levelno, record.__dict__)
        except Exception:
            self.handleError(record)

    def add(self, line: bytes, level: int, fields: dict[str, Any]) -> None:
        """Add the line of some fields to what waits."""
        self.buffer.add(line, level)

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a LogRecord, unless a filter refuses it; never raises."""
        passed = super().handle(record)
        if self.buffer.is_due:
            self._flush()
        return bool(passed)

    def refuses(self, scheduler_id: str) -> bool:
        """Whether :meth:`handle` ignores all records of a scheduler."""
        return False

    def is_unmodified(self) -> bool:
        """Whether :meth:`handle` calls no code of the user's, apart from filters."""
        return is_unmodified(self, SINK_METHODS) and (
            type(self.formatter) is not JSONFormatter
            or is_unmodified(self.formatter, FORMATTER_METHODS)
        )

    def takes_fields(self) -> bool:
        """Whether :meth:`write_fields` writes what :meth:`handle` would write."""
        return type(self.formatter) is JSONFormatter and not self.filters

    def write_fields(self, fields: dict[str, Any], level: int) -> None:
        """Write the fields of a record without making a LogRecord."""
        line = self.formatter.encode_fields(fields)  # type: ignore[union-attr]
        self.buffer.add(line, level)
        if self.buffer.is_due:
            self._flush()

    def close(self) -> None:
        """Write the lines that wait, with a last try, and close the file.

        A later line opens it again, as it does for a ``FileHandler``.
        """
        self.finish()
        super().close()
