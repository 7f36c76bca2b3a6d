"""BackwardScan: the lines of a log, the newest first; and the last records of logs."""

from __future__ import annotations

import contextlib
import heapq
import os
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from leandask.eventlog.filenames import find
from leandask.reading.files import BLOCK, LONGEST_LINE, LogFile, bases_of, open_log
from leandask.reading.filter import Filter
from leandask.reading.lines import InvalidRecord, record_of
from leandask.records.times import rfc3339

#: Lines that are searched together.
SLICE = 64
#: Bytes of lines to keep of a gzipped file, which can only be read from its start.
KEPT_BYTES = 16 * 2**20


class BackwardScan:
    """Yields the wanted lines of a log, the newest first, in bounded memory.

    Parameters
    ----------
    path : str or os.PathLike
        The file that is written to. Its rotated files are read, too.
    wanted : Filter
        If it has a ``since``, the scan ends a minute before that.
    limit : int
        Largest number of lines.
    kept_bytes : int, optional
        Bytes of lines to keep of a gzipped file.
    """

    #: Lines that are not valid records, and files that can't be read to their end.
    broken: int
    #: Time of the oldest record read; of the last line if `has_more`.
    reached: str | None
    #: Whether more records are wanted than were yielded.
    has_more: bool
    #: Whether that is because the lines of a gzipped file took too many bytes.
    is_full: bool

    def __init__(
        self,
        path: str | os.PathLike[str],
        wanted: Filter,
        limit: int,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.path = Path(path)
        self.wanted = wanted
        self.limit = limit
        self.kept_bytes = kept_bytes
        self.broken = 0
        self.reached = None
        self.has_more = self.is_full = False

    def slices(self) -> Iterator[list[bytes]]:
        """Yield the wanted lines in slices, many of them empty.

        Yields
        ------
        list of bytes
            Those found in 64 lines, the newest first.

        Raises
        ------
        FileNotFoundError
            If there is no log.
        """
        left = self.limit
        with open_log(self.path) as files:
            for file in reversed(files.files):
                for found in self._slices_of(file, left):
                    if len(found) > left:
                        self.has_more = True
                        found = found[:left]
                        if found:
                            self.reached = record_of(found[-1])["timestamp"]
                    yield found
                    left -= len(found)
                    if self.has_more or self._is_past:
                        return
                if self.has_more:
                    return

    @property
    def _is_past(self) -> bool:
        return bool(self.reached) and str(self.reached) < self.wanted.horizon

    def _slices_of(self, file: LogFile, left: int) -> Iterator[list[bytes]]:
        if file.path.suffix == ".gz":
            yield from self._slices_of_gzipped(file, left)
        else:
            for lines in self._guarded(lines_backwards(file)):
                yield self._pick(lines)

    def _slices_of_gzipped(self, file: LogFile, left: int) -> Iterator[list[bytes]]:
        kept: deque[bytes] = deque()
        nbytes, oldest, before = 0, None, self.reached
        for lines in self._guarded(block.split(b"\n") for block in file.blocks()):
            for begin in range(0, len(lines), SLICE):
                self.reached = None
                found = self._pick(lines[begin : begin + SLICE][::-1])[::-1]
                # This reads forward: the first record is the oldest one of the file.
                oldest, self.reached = oldest or self.reached, before
                kept.extend(found)
                nbytes += sum(map(len, found))
                # One line more than the limit shows that there are more.
                while len(kept) > left + 1:
                    nbytes -= len(kept.popleft())
                while nbytes > self.kept_bytes:
                    nbytes -= len(kept.popleft())
                    self.is_full = True
                yield []
        if self.is_full and kept:
            oldest = record_of(kept[0])["timestamp"]
        while kept:
            yield [kept.pop() for _ in range(min(SLICE, len(kept)))]
        self.reached = oldest
        self.has_more = self.is_full

    def _guarded(self, parts: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
        # Only the reading is guarded: an error of the filter is the caller's own.
        try:
            yield from parts
        except (OSError, EOFError, zlib.error):
            self.broken += 1

    def _pick(self, lines: list[bytes]) -> list[bytes]:
        """Decode the lines that may be wanted, and the last one for its time."""
        needles, matches = self.wanted.needles, self.wanted.matches
        found = []
        for i, line in enumerate(lines, 1):
            if not line or (
                needles
                and i < len(lines)
                and not any([needle in line for needle in needles])
            ):
                continue
            try:
                record = record_of(line)
            except InvalidRecord:
                self.broken += 1
                continue
            self.reached = record["timestamp"]
            if matches(record):
                found.append(line)
        return found


def lines_backwards(file: LogFile, block: int = BLOCK) -> Iterator[list[bytes]]:
    """Yield the lines of a file, from its end to its start.

    Parameters
    ----------
    file : LogFile
        Not a gzipped one.
    block : int, optional
        Bytes to read at once.

    Yields
    ------
    list of bytes
        Up to 64 lines, the last one first. A line longer than any record is cut.
    """
    fd, position = file.raw.fileno(), file.nbytes
    rest = b""  # the end of a line that starts in the block before
    while position:
        begin = max(position - block, 0)
        lines = (os.pread(fd, position - begin, begin) + rest).split(b"\n")
        position = begin
        rest = lines.pop(0)[:LONGEST_LINE] if begin else b""
        lines.reverse()
        for i in range(0, len(lines), SLICE):
            yield lines[i : i + SLICE]


class LastRecords(NamedTuple):
    """The last records of a log, or of all logs of a folder."""

    #: In the order of the log; those of several logs by time. The newest come last.
    records: list[dict[str, Any]]
    #: Lines that are not valid records, and files that can't be read to their end.
    broken: int


def last_records(path: Path, wanted: Filter, limit: int) -> LastRecords:
    """Read the last records of a log, or of all logs of a folder.

    Parameters
    ----------
    path : pathlib.Path
        A file, read together with its rotated files, or a folder of such files.
    wanted : Filter
    limit : int
        Largest number of records, at least 1.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    """
    records: list[dict[str, Any]] = []
    broken = 0
    for base in last_written_first(bases_of(path)):
        is_full = len(records) == limit
        # The time of a file may lag behind by a tick of the kernel.
        if is_full and rfc3339(last_written(base) + 1) < _time_of(records[0]):
            break  # neither this log nor the others have a newer record
        scan = BackwardScan(base, wanted, limit)
        lines = [line for part in scan.slices() for line in part]
        found = [record_of(line) for line in reversed(lines)]
        records = [*heapq.merge(records, found, key=_time_of)][-limit:]
        broken += scan.broken
    return LastRecords(records, broken)


def last_written_first(bases: list[Path]) -> list[Path]:
    """Order logs by the time at which their files were last written."""
    return sorted(bases, key=last_written, reverse=True)


def last_written(base: Path) -> float:
    """Return when a log was last written, in seconds since the epoch; 0 if never."""
    times = [0.0]
    for path in find(base):
        with contextlib.suppress(FileNotFoundError):  # renamed after it was listed
            times.append(path.stat().st_mtime)
    return max(times)


def _time_of(record: dict[str, Any]) -> str:
    return str(record["timestamp"])
