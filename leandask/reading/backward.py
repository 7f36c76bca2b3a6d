"""BackwardScan: the lines of a log, the newest first."""

from __future__ import annotations

import os
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from leandask.reading.files.backwards import SLICE, PartBackwards, lines_backwards
from leandask.reading.files.listing import Log, find_log
from leandask.reading.files.logfile import READ_ERRORS, LogFile
from leandask.reading.files.logfiles import AnyFiles, files_of
from leandask.reading.filter import Filter
from leandask.reading.lines import InvalidRecord, record_of
from leandask.reading.problems import Problems

if TYPE_CHECKING:
    from leandask.reading.bucket.bucketlogs import BucketLog

_Part = TypeVar("_Part")

#: Bytes of lines to keep of a compressed file, of which each part is read forward.
KEPT_BYTES = 16 * 2**20


class BackwardScan:
    """Yields the wanted lines of a log, the newest first, in bounded memory.

    Parameters
    ----------
    log : str or os.PathLike or Log
        The file that is written to. Its rotated files are read, too.
    wanted : Filter
        If it has a ``since``, the scan ends a minute before that.
    limit : int
        Largest number of lines.
    kept_bytes : int, optional
        Bytes of lines to keep of a part of a compressed file.
    problems : Problems, optional
        Gets the problems, if several scans have one place for them.
    deadline : float, optional
        Time by ``time.monotonic()`` at which the scan ends. Each line asks for it.
    """

    #: Lines that are not valid records, and files that can't be read to their end.
    problems: Problems
    #: Time of the oldest record read; of the last line if `has_more`.
    reached: str | None
    #: Whether more records are wanted than were yielded.
    has_more: bool
    #: Whether that is because the lines of a compressed file took too many bytes.
    is_full: bool
    #: Whether the deadline has ended it.
    is_late: bool
    #: Why no file at all can be read; None if one can.
    error: OSError | None

    def __init__(
        self,
        log: str | os.PathLike[str] | Log | BucketLog,
        wanted: Filter,
        limit: int,
        kept_bytes: int = KEPT_BYTES,
        problems: Problems | None = None,
        deadline: float = float("inf"),
    ) -> None:
        self.log = log
        self.wanted = wanted
        self.limit = limit
        self.kept_bytes = kept_bytes
        self.problems = Problems() if problems is None else problems
        self.reached = None
        self.has_more = self.is_full = self.is_late = False
        self.deadline = deadline
        self.error = None

    @property
    def broken(self) -> int:
        """Number of all problems."""
        return sum(self.problems.counts.values())

    @property
    def left_out(self) -> list[str]:
        """The first files that can't be read to their end, each with the reason."""
        notices = self.problems.notices
        return [str(problem) for problem in notices if problem.kind == "unreadable"]

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
        given = self.log
        if isinstance(given, (str, os.PathLike)):
            given = find_log(Path(given))
        with files_of(given) as files:
            yield from self._slices(files)
            self.error = files.error

    def _slices(self, files: AnyFiles) -> Iterator[list[bytes]]:
        left = self.limit
        for file in files.newest_first():
            for found in self._slices_of(file, left):
                if len(found) > left:
                    self.has_more = True
                    found = found[:left]
                    if found:
                        self.reached = record_of(found[-1])["timestamp"]
                yield found
                left -= len(found)
                if self.has_more or self.is_late or self._is_past:
                    return
            if self.has_more:
                return

    @property
    def _is_past(self) -> bool:
        return bool(self.reached) and str(self.reached) < self.wanted.horizon

    def _slices_of(self, file: LogFile, left: int) -> Iterator[list[bytes]]:
        if file.codec is not None:
            yield from self._slices_of_compressed(file, left)
            return
        torn = None  # what follows the last line break: the first that is read
        for lines in self._guarded(file, lines_backwards(file)):
            torn = lines[0] if torn is None else torn
            yield self._pick(file, lines, torn)

    def _slices_of_compressed(self, file: LogFile, left: int) -> Iterator[list[bytes]]:
        places = array("Q")  # 8 bytes for 32 KiB
        for place in self._guarded(file, file.spans()):
            places.append(place)
            if len(places) % SLICE == 0:
                yield []
        end, following = None, b""
        for begin in reversed(places):
            part = PartBackwards(file, self._report(file), begin, end, following)
            yield from self._slices_of_part(file, left, part)
            if self.has_more:
                return
            end, following = begin, part.first

    def _slices_of_part(
        self, file: LogFile, left: int, part: Iterable[bytes]
    ) -> Iterator[list[bytes]]:
        kept: deque[bytes] = deque()
        nbytes, oldest, before = 0, None, self.reached
        parts = (block.split(b"\n") for block in part)
        for lines in self._guarded(file, parts):
            for begin in range(0, len(lines), SLICE):
                self.reached = None
                some = lines[begin : begin + SLICE][::-1]
                found = self._pick(file, some, torn=lines[-1])[::-1]
                # This reads forward: the first record is the oldest one of the part.
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
        self.reached = oldest or before
        self.has_more = self.is_full

    def _report(self, file: LogFile) -> Callable[[Exception], None]:
        return lambda error: self.problems.add_unreadable(file.path, 0, error)

    def _guarded(self, file: LogFile, parts: Iterable[_Part]) -> Iterator[_Part]:
        # Only the reading is guarded: an error of the filter is the caller's own.
        try:
            yield from parts
        except READ_ERRORS as e:
            self._report(file)(e)

    def _pick(self, file: LogFile, lines: list[bytes], torn: bytes) -> list[bytes]:
        """Decode the lines that may be wanted, and the last one for its time."""
        needles, matches = self.wanted.needles, self.wanted.matches
        found = []
        for i, line in enumerate(lines, 1):
            if time.monotonic() >= self.deadline:
                self.is_late = True
                break
            if not line or (
                needles
                and i < len(lines)
                and not any([needle in line for needle in needles])
            ):
                continue
            try:
                record = record_of(line)
            except InvalidRecord as e:
                kind = "torn" if line is torn else ""
                self.problems.add_invalid(file.path, 0, line, e, kind)
                continue
            self.reached = record["timestamp"]
            if matches(record):
                found.append(line)
        return found
