"""BucketLog: a log in a bucket, and how the logs at a URL are found."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from leandask.eventlog.archive.bucket import (
    Bucket,
    BucketError,
    Entry,
    check_installed,
    shown,
)
from leandask.eventlog.archive.segments import start_of
from leandask.eventlog.filenames import ENDINGS, place_of
from leandask.reading.bucket.bucketfile import BucketFile
from leandask.reading.bucket.period import EVER, Period

#: Folders that are listed at the same time.
LISTINGS = 16
#: Seconds without a change after which nobody writes to a run any more: several
#: intervals of an archive.
QUIET_SECONDS = 300


class BucketLog(NamedTuple):
    """The segments of one run, or a file, as they were found in a bucket.

    Segments are listed again when they are read: those of many runs took too much.
    """

    bucket: Bucket
    #: Folder of the segments, or the file, below the URL of the bucket.
    key: str
    #: The file; None for segments.
    entry: Entry | None
    period: Period
    #: When it begins, in seconds since the epoch, as far as its names tell.
    start: float
    nbytes: int
    last_written: float

    def may_be_written(self, now: float) -> bool:
        """Whether a process may be writing it now."""
        return self.last_written > now - QUIET_SECONDS

    @property
    def base(self) -> str:
        """Its URL."""
        return self.bucket.shown(self.key)

    def segments(self) -> list[tuple[str, Entry]]:
        """List its files, each by its place below the URL of the bucket.

        Raises
        ------
        OSError
            If that is not possible.
        """
        if self.entry is not None:
            return [(self.key, self.entry)]
        found = self.period.segments(self.bucket.entries(self.key))
        folder = f"{self.key}/" if self.key else ""
        return [(f"{folder}{entry.name}", entry) for entry in found]

    def open(self) -> BucketFiles:
        """Return its files, to be read one after the other."""
        files = [BucketFile(self.bucket, key, entry) for key, entry in self.segments()]
        return BucketFiles(files)


class BucketFiles:
    """The files of one log in a bucket, the oldest first.

    Parameters
    ----------
    files : list of BucketFile
    """

    def __init__(self, files: list[BucketFile]) -> None:
        self.files = files

    def __enter__(self) -> BucketFiles:
        return self

    def __exit__(self, *args: object) -> None:
        for file in self.files:
            file.close()

    @property
    def error(self) -> OSError | None:
        """Why no file at all can be read; None if one can."""
        errors = [file.error for file in self.files]
        return errors[0] if errors and all(errors) else None

    def oldest_first(self) -> Iterator[BucketFile]:
        """Yield each file, open or with the error of opening it."""
        return self._in_turn(self.files)

    def newest_first(self) -> Iterator[BucketFile]:
        """Yield each file, open or with the error of opening it."""
        return self._in_turn(self.files[::-1])

    def _in_turn(self, files: list[BucketFile]) -> Iterator[BucketFile]:
        for file in files:
            file.open()
            yield file
            file.close()


def bucket_logs(url: str, period: Period = EVER) -> list[BucketLog]:
    """Return the logs at a URL: a file, a run, or the runs and logs of a folder.

    Parameters
    ----------
    url : str
    period : Period, optional
        Runs without any wanted record, as their names tell, are left out.

    Returns
    -------
    list of BucketLog
        By their start.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    OSError
        If the bucket can't be read.
    """
    try:
        check_installed("a log in a bucket", url)
    except (ImportError, ValueError) as e:
        raise BucketError(str(e)) from e
    bucket = Bucket(url)
    if (entry := bucket.file()) is not None:
        return [_file_log(bucket, "", entry)]
    entries = bucket.entries()
    if any(start_of(entry.name) is not None for entry in entries):
        runs = [_run(bucket, period, "", entries)]
    else:
        folders = [entry.name for entry in entries if entry.is_folder]
        with ThreadPoolExecutor(LISTINGS, "leandask-list") as threads:
            runs = [*threads.map(partial(_run, bucket, period), folders)]
    logs = [run for run in runs if run is not None]
    placed = [
        (place, entry)
        for entry in entries
        if not entry.is_folder
        and start_of(entry.name) is None
        and (place := place_of(entry.name)) is not None
        and place[0].endswith((".jsonl", ".ndjson", ".log"))
    ]
    logs.sort(key=lambda log: (log.start, log.key))
    logs += [_file_log(bucket, entry.name, entry) for _, entry in sorted(placed)]
    if not logs and not any(run is None for run in runs):
        raise FileNotFoundError(
            f"There is no log at {shown(url)}: neither segments of an archive, nor a "
            f"file of JSON lines named *{', *'.join(ENDINGS)}"
        )
    return logs


def _run(
    bucket: Bucket, period: Period, key: str, entries: list[Entry] | None = None
) -> BucketLog | None:
    """Return the run in a folder; None if there is none, or none that is wanted."""
    listed = bucket.entries(key) if entries is None else entries
    found = period.segments(listed)
    if not found:
        return None
    return BucketLog(
        bucket,
        key,
        None,
        period,
        start_of(found[0].name) or 0.0,
        sum(entry.nbytes for entry in found),
        max(entry.written or start_of(entry.name) or 0.0 for entry in found),
    )


def _file_log(bucket: Bucket, key: str, entry: Entry) -> BucketLog:
    return BucketLog(
        bucket, key, entry, EVER, 0.0, entry.nbytes, entry.written or float("inf")
    )
