"""LogFiles: the files of an event log, opened for reading in their order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Union, cast

from leandask.eventlog.filelock import standing_still
from leandask.eventlog.filenames import ENDINGS
from leandask.eventlog.frames.codec import reading
from leandask.reading.bucket.period import EVER, Period
from leandask.reading.files.contents import codec_at, contents, strictly
from leandask.reading.files.listing import FoundFile, Log, find_log, find_logs
from leandask.reading.files.logfile import READ_ERRORS, LogFile, open_regular
from leandask.settings.rules import is_url

if TYPE_CHECKING:
    from leandask.reading.bucket.bucketlogs import BucketFiles, BucketLog

AnyFiles = Union["LogFiles", "BucketFiles"]
#: Attempts to open the files of a log while the scheduler renames them.
ATTEMPTS = 100
#: Files of a log that are open at a time: half of them the oldest, which are removed
#: first, half of them the newest, of which one may be replaced by a gzipped one.
OPEN_FILES = 32


class LogFiles:
    """The files of one log, the oldest first.

    A log is a file with its rotated files: ``PATH.2.gz``, ``PATH.1``, ``PATH``, or with
    a date as logrotate's ``PATH-20261124``; each plain or compressed. Up to 32 are
    opened at once, so that each record is read once, even if the scheduler rotates its
    log in the meantime. Those in the middle of more files are opened in their turn, by
    whatever name they have then.

    Parameters
    ----------
    base : pathlib.Path
        The file that is written to.
    files : list of LogFile
        The oldest first.
    """

    def __init__(self, base: Path, files: list[LogFile]) -> None:
        self.base = base
        self.files = files

    @classmethod
    def of(cls, log: Log) -> LogFiles:
        """Open a log, which is found again if files were renamed since it was found.

        Raises
        ------
        FileNotFoundError
            If it has no file any more.
        OSError
            If its files are renamed all the time.
        """
        files = cls(log.base, [])
        try:
            files._take(log.files)
            for _ in range(ATTEMPTS):
                if files._open_ends():
                    return files
                with standing_still(log.base.parent):
                    files._take(find_log(log.base).files)
                    files._open_ends()
        except BaseException:
            files.close()
            raise
        files.close()
        raise OSError(f"The files of {log.base} are renamed all the time")

    def _take(self, listed: list[FoundFile]) -> None:
        """Have the files that were found, of which some may be open already."""
        opened = {file.identity: file for file in self.files if file.is_open}
        for file in self.files:
            if opened.get(file.identity) is not file:
                file.close()
        self.files = []
        for found in listed:
            file = (
                opened.pop(found.identity)
                if found.identity in opened
                else LogFile(found)
            )
            file.found, file.nbytes = found, found.nbytes
            self.files.append(file)
        for file in opened.values():
            file.close()

    def _open_ends(self) -> bool:
        half = OPEN_FILES // 2
        for file in self.files[half:-half]:
            file.close()
        ends = self.files[:half] + self.files[half:][-half:]
        # All of them, so that a try after a rotation has fewer to open.
        return all([file.open() for file in ends])

    def __enter__(self) -> LogFiles:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for file in self.files:
            file.close()

    @property
    def error(self) -> OSError | None:
        """Why no file at all can be read; None if one can."""
        errors = [file.error for file in self.files]
        return errors[0] if all(errors) else None

    def oldest_first(self) -> Iterator[LogFile]:
        """Yield each file, open or with the error of opening it."""
        return self._in_turn(self.files)

    def newest_first(self) -> Iterator[LogFile]:
        """Yield each file, open or with the error of opening it."""
        return self._in_turn(reversed(self.files))

    def _in_turn(self, files: Iterable[LogFile]) -> Iterator[LogFile]:
        for file in files:
            for _ in range(ATTEMPTS):
                if file.open():
                    break
                with standing_still(self.base.parent):
                    self._find(file)
                    file.open()
            else:
                file.error = OSError("it is renamed all the time")
            yield file
            file.close()

    def _find(self, wanted: LogFile) -> None:
        """Find the names that all files have now, or note that one has none."""
        try:
            listed = find_log(self.base).files
        except FileNotFoundError:
            listed = []
        named = {found.identity: found for found in listed}
        for file in self.files:
            found = named.get(file.identity)
            # A file that is shorter was emptied: what was in it may be in a new file.
            if found is not None and found.nbytes >= file.nbytes:
                if not file.is_open:
                    file.found = found
            elif file is wanted:
                file.error = FileNotFoundError("it was removed while the log was read")


def open_logs(path: Path | str, period: Period = EVER) -> Iterator[AnyFiles]:
    """Open the logs at a path, one after the other.

    Parameters
    ----------
    path, period
        As for :func:`logs_at`.

    Yields
    ------
    LogFiles
        Closed before the next one is opened. A log that can't be opened is one file
        with the error of opening it.

    Raises
    ------
    FileNotFoundError
        If the file does not exist, or the folder has no log.
    OSError
        If no file of any log can be opened; raised at the end.
    """
    errors = []
    for log in logs_at(path, period):
        with _opened(log) as files:
            yield files
        errors.append(files.error)
    if errors and all(errors):
        raise cast(OSError, errors[0])


def files_of(log: Log | BucketLog) -> AnyFiles:
    """Open a log, or raise OSError."""
    return LogFiles.of(log) if isinstance(log, Log) else log.open()


def _opened(log: Log | BucketLog) -> AnyFiles:
    try:
        return files_of(log)
    except OSError as e:
        file = LogFile(FoundFile(str(log.base), None))
        file.error = e
        return LogFiles(Path(log.base), [file])


def place_of_log(path: str | os.PathLike[str]) -> Path | str:
    """Return the path of a log, or its URL as it is."""
    return path if isinstance(path, str) and is_url(path) else Path(path)


def logs_at(path: Path | str, period: Period = EVER) -> Sequence[Log | BucketLog]:
    """Return the logs at a path: a file, or all logs of a folder by their start.

    Parameters
    ----------
    path : Path or str
        A file, read together with its rotated files; or a folder of such files. A text
        is a URL.
    period : Period, optional
        What is wanted of the segments in a bucket.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    """
    if isinstance(path, str):
        from leandask.reading.bucket.bucketlogs import bucket_logs  # few logs are there

        return bucket_logs(path, period)
    if not path.is_dir():
        return [find_log(path)]
    starts = [(start, log) for log in find_logs(path) if (start := _start_of(log))]
    if not starts:
        raise FileNotFoundError(
            f"There is no log in the folder {path}: "
            f"no file of JSON lines named *{', *'.join(ENDINGS)}"
        )
    return [
        log for _, log in sorted(starts, key=lambda found: (found[0], found[1].base))
    ]


def _start_of(log: Log) -> bytes:
    """Return the first bytes of a log, with its first time; b"" if it is not a log."""
    for found in log.files:
        try:
            with open_regular(found.path) as raw:
                start = raw.read(64)
                if codec := codec_at(found.path.name, start):
                    read = reading(raw.fileno())
                    parts = contents(read, codec, 0, None, strictly)
                    start = next(parts, b"")[:64]
                # logrotate leaves empty files for days without lines.
                if start:
                    return start if start[:1] == b"{" else b""
        except FileNotFoundError:  # renamed or removed after it was listed
            continue
        except READ_ERRORS:
            return b"{"  # a broken file is reported when it is read
    return b""
