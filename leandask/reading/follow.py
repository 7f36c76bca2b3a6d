"""Follow: the records that are appended to a log, as they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from leandask.eventlog.filelock import standing_still
from leandask.reading.files.listing import FoundFile, find_log
from leandask.reading.files.logfile import (
    BLOCK,
    LONGEST_LINE,
    LogFile,
    open_regular,
)
from leandask.reading.filter import RecordFilter
from leandask.reading.lines import InvalidRecord, record_of
from leandask.reading.problems import Problems
from leandask.reading.sequence import Sequences

#: First bytes of a file, by which it is recognised: they have the time of a record.
HEAD = 256


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
        yield from self._read()
        while (following := self._next()) is not None:
            yield from self._read()  # what was appended before the rotation
            self._file.close()
            self._switch(following.raw)
            yield from self._read()

    def _switch(self, file: BinaryIO) -> None:
        """Go to the start of a file."""
        self._file = file
        #: What was read of its first bytes.
        self._head = b""
        self._go_to(0)

    def _go_to(self, position: int) -> None:
        """Go to the start of a line."""
        #: Bytes that were read, and those of whole lines.
        self._position = self._whole = position
        #: Start of a line that has no end yet.
        self._rest = b""

    def _go_to_last_line(self) -> None:
        """Go to the end, or to the start of a line that is being written there."""
        end = os.fstat(self._file.fileno()).st_size
        begin = max(end - BLOCK, 0)
        last = self._bytes(begin, end - begin).rfind(b"\n") + 1
        self._go_to(begin + last if last or not begin else end)
        self._head = self._bytes(0, HEAD)

    def _bytes(self, begin: int, n: int) -> bytes:
        return os.pread(self._file.fileno(), n, begin)

    def _next_block(self) -> bytes:
        """Read on. The place is looked at afterwards: what was read is of this file."""
        while True:
            position = self._position
            block = self._bytes(position, BLOCK)
            self._check_place()
            if self._position == position:
                return block

    def _check_place(self) -> None:
        """Go back if the file was truncated, even if it has grown again since then.

        The sink cuts a failed write off, back to the last whole line. Others empty the
        file, as logrotate's copytruncate does.
        """
        is_same = self._bytes(0, len(self._head)) == self._head
        if not is_same or os.fstat(self._file.fileno()).st_size < self._whole:
            self._go_to(0)
        elif self._bytes(self._whole, len(rest := self._rest[:BLOCK])) != rest:
            self._go_to(self._whole)

    def _next(self) -> LogFile | None:
        """Open the file that follows the open one; None if it is the last."""
        while not self._is_in_place():
            with standing_still(self.path.parent):
                found = self._following()
                if found is None:
                    return None
                file = LogFile(found)
                if file.open():
                    return file
        return None

    def _is_in_place(self) -> bool:
        """Whether the open file is at the path, or none is there."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:  # between two names, or removed
            return True
        return os.path.samestat(status, os.fstat(self._file.fileno()))

    def _following(self) -> FoundFile | None:
        held = os.fstat(self._file.fileno())
        try:
            files = find_log(self.path).files
        except FileNotFoundError:
            return None
        for file, following in pairwise(files):
            if file.identity == (held.st_dev, held.st_ino):
                return following
        # If the open file was removed, the files between it and the last are unknown.
        return files[-1] if files[-1].path == self.path else None

    def _read(self) -> Iterator[dict[str, Any]]:
        while block := self._next_block():
            if self._position < HEAD:
                self._head = (self._head[: self._position] + block)[:HEAD]
            self._position += len(block)
            end = block.rfind(b"\n") + 1
            if not end:
                if len(self._rest) < LONGEST_LINE:
                    self._rest += block
                continue
            lines = (self._rest + block[:end]).split(b"\n")
            self._rest = block[end:]
            self._whole = self._position - len(self._rest)
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
