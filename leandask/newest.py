"""Newest: the records of a log from its end on, in bounded memory."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leandask.filter import Filter
from leandask.logfiles import BLOCK, LONGEST_LINE, LogFile, bases_of, open_log
from leandask.parse import record_of

#: Lines that are looked at together.
SLICE = 64


class Newest:
    """Gives the records of a log that are wanted, the newest first.

    Parameters
    ----------
    path : str or os.PathLike
        A file, with those that were rotated out of it, or a folder of such files.
    wanted : Filter
        Where it has a ``since``, reading ends a minute before that.
    limit : int
        Records to give at most. Of a gzipped file, which can only be read from its
        start, so many are held.
    """

    #: Lines of records that can't be read, and files that can't be to their end.
    broken: int
    #: Time of the oldest record looked at, or of the last one given for the limit.
    reached: str | None
    #: Whether more records are wanted than the limit allows.
    has_more: bool

    def __init__(
        self, path: str | os.PathLike[str], wanted: Filter, limit: int
    ) -> None:
        self.path = Path(path)
        self.wanted = wanted
        self.limit = limit
        self.broken = 0
        self.reached = None
        self.has_more = False

    def slices(self) -> Iterator[list[dict[str, Any]]]:
        """Give the records in slices, many of them empty.

        Yields
        ------
        list of dict
            What was found in 64 lines, the newest first.

        Raises
        ------
        FileNotFoundError
            If there is no log.
        """
        left = self.limit
        for base in reversed(bases_of(self.path)):
            with open_log(base) as files:
                for file in reversed(files.files):
                    for found in self._slices_of(file, left):
                        self.has_more = len(found) > left
                        if self.has_more and left:
                            self.reached = found[left - 1]["timestamp"]
                        yield found[:left]
                        left -= len(found)
                        if self.has_more or self._is_past:
                            return

    @property
    def _is_past(self) -> bool:
        return bool(self.reached) and str(self.reached) < self.wanted.stale

    def _slices_of(self, file: LogFile, left: int) -> Iterator[list[dict[str, Any]]]:
        try:
            if file.path.suffix == ".gz":
                yield from self._slices_of_gzipped(file, left)
            else:
                for lines in lines_backwards(file):
                    yield self._pick(lines)
        except (OSError, EOFError, zlib.error):
            self.broken += 1

    def _slices_of_gzipped(
        self, file: LogFile, left: int
    ) -> Iterator[list[dict[str, Any]]]:
        # One more than there is room for tells that there are more.
        last: deque[dict[str, Any]] = deque(maxlen=left + 1)
        oldest = None
        for block in file.blocks():
            lines = block.split(b"\n")
            for begin in range(0, len(lines), SLICE):
                found = self._pick(lines[begin : begin + SLICE][::-1])
                last.extend(reversed(found))
                oldest, self.reached = oldest or self.reached, None
                yield []
        self.reached = oldest
        yield [*reversed(last)]

    def _pick(self, lines: list[bytes]) -> list[dict[str, Any]]:
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
                self.reached = record["timestamp"]
                if matches(record):
                    found.append(record)
            except Exception:
                self.broken += 1
        return found


def lines_backwards(file: LogFile, block: int = BLOCK) -> Iterator[list[bytes]]:
    """Give the lines of a file from its end on.

    Parameters
    ----------
    file : LogFile
        Not a gzipped one.
    block : int, optional
        Bytes to read at once.

    Yields
    ------
    list of bytes
        Up to 64 lines, the last one first. What is longer than any record is cut.
    """
    fd, position = file.raw.fileno(), file.nbytes
    rest = b""  # the end of a line whose start is further to the front
    while position:
        begin = max(position - block, 0)
        lines = (os.pread(fd, position - begin, begin) + rest).split(b"\n")
        position = begin
        rest = lines.pop(0)[:LONGEST_LINE] if begin else b""
        lines.reverse()
        for i in range(0, len(lines), SLICE):
            yield lines[i : i + SLICE]
