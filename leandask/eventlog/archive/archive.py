"""Archive: the records of one scheduler, on their way to a bucket."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leandask._fork import leave_to_parent
from leandask.eventlog.archive.bucket import (
    Bucket,
    check_installed,
    check_prefix,
    shown,
)
from leandask.eventlog.archive.lifefolder import RECENT, LifeFolder, Segment
from leandask.eventlog.archive.runsummary import RunSummary
from leandask.eventlog.archive.segmentfile import SegmentFile
from leandask.eventlog.archive.spool import spool_of
from leandask.eventlog.archive.uploader import Uploader
from leandask.eventlog.archive.waiting import Waiting
from leandask.eventlog.frames.codec import codec_of
from leandask.eventlog.linewriter import LineWriter, Retry
from leandask.records.times import rfc3339
from leandask.settings import config
from leandask.settings.logpath import UnusablePath, fill

if TYPE_CHECKING:
    from leandask.eventlog.archive.report import ArchiveReport

logger = logging.getLogger("leandask")

#: Seconds between two looks for the end of the uploads.
POLL = 0.01


class Archive:
    """Writes the lines of one scheduler to segments, and has them uploaded.

    Parameters
    ----------
    url : str
    spool : pathlib.Path
        Folder on a local disk. This makes one below it for the scheduler.
    scheduler_id : str

    Raises
    ------
    OSError
        If the folder can't be made.
    """

    def __init__(self, url: str, spool: Path, scheduler_id: str) -> None:
        self.url = url
        compression = _compression()
        # What can be refused comes first: nothing is started then.
        interval = config.read("event-log.archive-interval")
        max_bytes = config.read("event-log.archive-bytes")
        flush_interval = config.read("event-log.flush-interval")
        self.run = RunSummary(
            scheduler_id,
            config.read("run.name"),
            config.read("run.labels"),
            config.read("stream.tasks") is not False,
        )
        self.waiting = Waiting(config.read("event-log.archive-local-bytes"))
        self._folder = LifeFolder(spool / fill("{scheduler_id}", scheduler_id))
        #: A local log for who has no other.
        self.recent = self._folder.path / f"{RECENT}{_ENDINGS[compression]}"
        self._file = SegmentFile(self._folder, compression, max_bytes, self._queue)
        self._writer = LineWriter(
            self._file, flush_interval, Retry(1.0, 60.0), 1.0, 60.0
        )
        self._uploader = Uploader(
            Bucket(url),
            self.waiting,
            self._folder,
            self._cut,
            lambda: self._folder.write_run(self.run.as_dict()),
            self._release,
            interval,
            Retry(1.0, 60.0),
        )
        #: When closing ends, by time.monotonic(); None before that.
        self._deadline: float | None = None
        #: The thread and the owner: the last of them lets go of the folder.
        self._users = 2
        self._is_closed = False
        self._lock = threading.Lock()
        leave_to_parent(self)

    @classmethod
    def of(cls, url: str, path: str | None, scheduler_id: str) -> Archive:
        """Make the archive of the configuration, to be started or discarded.

        Raises
        ------
        UnusablePath
            If the URL can't be used, a package is missing, or the local folder can't
            be made.
        """
        is_path = config.read("event-log.path") == url
        key = f"leandask.event-log.{'path' if is_path else 'archive'}"
        try:
            check_prefix(key, url)
            check_installed(key, url)
        except (ImportError, ValueError) as e:
            raise UnusablePath(str(e)) from e
        spool = spool_of(url, path)
        try:
            return cls(url, spool, scheduler_id)
        except OSError as e:
            raise UnusablePath(
                "leandask.event-log.archive-folder must be a folder on this machine "
                f"that this process can write to ({e}); got {str(spool)!r}"
            ) from e

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.url)!r}: {self.waiting!r}>"

    def start(self) -> None:
        """Start the uploads, first of what earlier schedulers left."""
        logger.info("Archive: %s, by way of %s", shown(self.url), self._folder.path)
        self._uploader.start()

    def discard(self) -> None:
        """Remove its folder; it was not started."""
        self._is_closed = True
        self._folder.remove()

    def take(self, fields: dict[str, Any], line: bytes, level: int) -> None:
        """Take a record and its line; never waits for the bucket."""
        self.run.see(fields)
        self._writer.buffer.add(line, level)

    def flush_if_full(self) -> None:
        """Write the lines to the segment if they are worth it."""
        self._writer.flush_if_full()

    def flush_if_due(self) -> None:
        """Write the lines to the segment if one has waited for the flush interval."""
        self._writer.flush_if_due()

    def flush(self) -> None:
        """Write the lines that wait to the segment."""
        self._writer.flush()

    async def aend(self, deadline: float) -> None:
        """Upload the rest, and wait for it without blocking the event loop.

        Parameters
        ----------
        deadline : float
            Time by ``time.monotonic()`` at which the wait ends, also that of
            :meth:`close`.
        """
        self._end(deadline)
        while self._uploader.is_alive and time.monotonic() < deadline:
            await asyncio.sleep(POLL)

    def close(self, timeout: float) -> None:
        """Upload the rest, and wait for `timeout` seconds, unless :meth:`aend` has."""
        if self._is_closed:
            return
        self._is_closed = True
        deadline = self._end(time.monotonic() + timeout)
        self._uploader.join(max(deadline - time.monotonic(), 0.0))
        if not self._uploader.is_complete:
            logger.error(
                "%s segments are not in the archive %s yet%s: the next scheduler that "
                "has the folder %s uploads them",
                max(len(self.waiting), 1),
                shown(self.url),
                f" ({self._uploader.last_error})" if self._uploader.last_error else "",
                self._folder.path.parent,
            )
        self._release()

    def report(self) -> ArchiveReport:
        """Return the counters."""
        waiting, uploader = self.waiting, self._uploader
        return {
            "url": shown(self.url),
            "segments_uploaded": waiting.uploaded,
            "bytes_uploaded": waiting.uploaded_bytes,
            "segments_waiting": len(waiting),
            "bytes_waiting": waiting.nbytes,
            "segments_lost": waiting.lost,
            "bytes_lost": waiting.lost_bytes,
            "lines_lost": self._writer.lines_lost,
            "errors": uploader.errors,
            "failing": uploader.retry.failing,
            "last_error": uploader.last_error or None,
            "last_upload": (
                None if uploader.last_upload is None else rfc3339(uploader.last_upload)
            ),
        }

    def after_fork(self) -> None:
        """In a child process: leave all to the parent process."""
        self._lock = threading.Lock()
        self._is_closed = True
        self._writer.after_fork()
        self.waiting.after_fork()
        self._uploader.after_fork()
        self._folder.close()

    def _queue(self, segment: Segment) -> None:
        self.waiting.add(segment)
        self._uploader.wake()

    def _cut(self, is_last: bool) -> None:
        """Complete the segment; in the uploader's thread."""
        self._writer.finish() if is_last else self._writer.flush()
        with self._file.lock:
            self._file.cut()

    def _end(self, deadline: float) -> float:
        if self._deadline is None:
            self._deadline = deadline
            self._uploader.end()
        return self._deadline

    def _release(self) -> None:
        """Let go of the folder, once neither the thread nor the owner uses it."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
        if self._uploader.is_complete:
            self._folder.remove()
        else:
            self._folder.close()


_ENDINGS = {"zstd": ".zst", "gzip": ".gz"}


def _compression() -> str:
    try:
        codec_of("zstd")
        return "zstd"
    except ImportError:
        return "gzip"
