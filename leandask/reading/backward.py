"""Newest: the lines of a log from its end on, in bounded memory."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from leandask.reading.files import BLOCK, LONGEST_LINE, LogFile, open_log
from leandask.reading.filter import Filter
from leandask.reading.lines import record_of

#: Lines that are looked at together.
SLICE = 64
#: Bytes that are held of a gzipped file, which can only be read from its start.
HELD_BYTES = 16 * 2**20


class Newest:
    """Gives the lines of the records of a log that are wanted, the newest first.

    Parameters
    ----------
    path : str or os.PathLike
        The file that is written to: read with those that were rotated out of it.
    wanted : Filter
        Where it has a ``since``, reading ends a minute before that.
    limit : int
        Lines to give at most.
    """

    #: Lines of records that can't be read, and files that can't be to their end.
    broken: int
    #: Time of the oldest record looked at, or of the last one given for the limit.
    reached: str | None
    #: Whether more records are wanted than were given.
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

    def slices(self) -> Iterator[list[bytes]]:
        """Give the lines in slices, many of them empty.

        Yields
        ------
        list of bytes
            What was found in 64 lines, the newest first.

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
        return bool(self.reached) and str(self.reached) < self.wanted.stale

    def _slices_of(self, file: LogFile, left: int) -> Iterator[list[bytes]]:
        try:
            if file.path.suffix == ".gz":
                yield from self._slices_of_gzipped(file, left)
            else:
                for lines in lines_backwards(file):
                    yield self._pick(lines)
        except (OSError, EOFError, zlib.error):
            self.broken += 1

    def _slices_of_gzipped(self, file: LogFile, left: int) -> Iterator[list[bytes]]:
        held: deque[bytes] = deque()
        nbytes, is_cut, oldest, before = 0, False, None, self.reached
        for block in file.blocks():
            lines = block.split(b"\n")
            for begin in range(0, len(lines), SLICE):
                self.reached = None
                found = self._pick(lines[begin : begin + SLICE][::-1])[::-1]
                # It goes forward: all but what it ends with may still be cut.
                oldest, self.reached = oldest or self.reached, before
                held.extend(found)
                nbytes += sum(map(len, found))
                # One more than there is room for tells that there are more.
                while len(held) > left + 1 or nbytes > HELD_BYTES:
                    nbytes -= len(held.popleft())
                    is_cut = True
                yield []
        while held:
            yield [held.pop() for _ in range(min(SLICE, len(held)))]
        self.reached = oldest
        self.has_more = is_cut

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
                self.reached = record["timestamp"]
                if matches(record):
                    found.append(line)
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
