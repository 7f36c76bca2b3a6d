"""Follow: the records that are appended to a log, as they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from leandask.reading.files.listing import find_log
from leandask.reading.files.logfile import BLOCK, LONGEST_LINE, open_regular
from leandask.reading.filter import RecordFilter
from leandask.reading.lines import InvalidRecord, record_of
from leandask.reading.problems import Problems
from leandask.reading.sequence import Sequences

#: Bytes by which a file is recognised: a line ends with what no other line has.
MARK = 64


class Follow:
    """Yields the records that are appended to a log, even while it is rotated.

    Parameters
    ----------
    path : pathlib.Path
        The file that is written to.
    wanted : RecordFilter

    Raises
    ------
    OSError
        If the file can't be opened, or is not a regular file.
    """

    #: Lines that are not valid records, and gaps in the numbers of records.
    problems: Problems

    def __init__(self, path: Path, wanted: RecordFilter) -> None:
        self.path = path
        self.wanted = wanted
        self.problems = Problems()
        self._sequences = Sequences(self.problems)
        self._file: BinaryIO
        self._switch(open_regular(path))
        self._go_to_last_line()

    def __enter__(self) -> Follow:
        return self

    def __exit__(self, *args: object) -> None:
        self._file.close()

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield what was appended since the last call, without waiting for more.

        Raises
        ------
        OSError
            If a file can't be opened or read.
        """
        self._check_place()
        yield from self._read()
        while (path := self._next()) is not None:
            try:
                following = open_regular(path)
            except FileNotFoundError:  # renamed after it was listed
                continue
            yield from self._read()  # what was appended before the rotation
            self._file.close()
            self._switch(following)
            yield from self._read()

    def _switch(self, file: BinaryIO) -> None:
        """Go to the start of a file."""
        self._file = file
        self._go_to(0, b"")

    def _go_to(self, position: int, before: bytes) -> None:
        """Go to the start of a line; `before` is what comes before it."""
        #: Bytes that were read, and those of whole lines.
        self._position = self._whole = position
        #: The last bytes that were read, and those of whole lines.
        self._mark = self._whole_mark = before[-MARK:]
        #: Start of a line that has no end yet.
        self._rest = b""

    def _go_to_last_line(self) -> None:
        """Go to the end, or to the start of a line that is being written there."""
        end = os.fstat(self._file.fileno()).st_size
        begin = max(end - BLOCK, 0)
        last = os.pread(self._file.fileno(), end - begin, begin)
        if n := last.rfind(b"\n") + 1:
            self._go_to(begin + n, last[:n])
        elif begin:
            self._go_to(end, last)

    def _check_place(self) -> None:
        """Go back if the file was truncated, even if it has grown again since then.

        The sink cuts a failed write off, back to the last whole line. Others empty the
        file, as logrotate's copytruncate does.
        """
        if not self._has(self._position, self._mark):
            if self._has(self._whole, self._whole_mark):
                self._go_to(self._whole, self._whole_mark)
            else:
                self._go_to(0, b"")

    def _has(self, position: int, mark: bytes) -> bool:
        """Whether the file has these bytes before a position."""
        begin = position - len(mark)
        return os.pread(self._file.fileno(), len(mark), begin) == mark

    def _next(self) -> Path | None:
        """Return the file that follows the open one; None if it is the last."""
        held = os.fstat(self._file.fileno())
        try:
            if os.path.samestat(os.stat(self.path), held):
                return None
            files = find_log(self.path).files
        except FileNotFoundError:  # between two names, or removed
            return None
        paths = [*(file.path for file in files), self.path]
        same = [file.identity == (held.st_dev, held.st_ino) for file in files]
        # If the open file was removed, the files between it and the last are unknown.
        return paths[same.index(True) + 1] if any(same) else self.path

    def _read(self) -> Iterator[dict[str, Any]]:
        while block := os.pread(self._file.fileno(), BLOCK, self._position):
            self._position += len(block)
            self._mark = block[-MARK:]
            end = block.rfind(b"\n") + 1
            if not end:
                if len(self._rest) < LONGEST_LINE:
                    self._rest += block
                continue
            lines = (self._rest + block[:end]).split(b"\n")
            self._rest = block[end:]
            self._whole = self._position - len(self._rest)
            self._whole_mark = block[max(end - MARK, 0) : end]
            for line in lines[:-1]:
                try:
                    record = record_of(line)
                except InvalidRecord as e:
                    self.problems.add_invalid(self.path, 0, line, e)
                    continue
                self._sequences.step(
                    record["scheduler_id"], record["seq"], self.path, 0
                )
                if self.wanted.matches(record):
                    yield record
