"""Follow: the records that are appended to a log, as they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from leandask.eventlog.filenames import find
from leandask.reading.files import BLOCK, LONGEST_LINE
from leandask.reading.filter import RecordFilter
from leandask.reading.lines import InvalidRecord, record_of


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
        If the file can't be opened.
    """

    #: Lines that are not valid records.
    broken: int

    def __init__(self, path: Path, wanted: RecordFilter) -> None:
        self.path = path
        self.wanted = wanted
        self.broken = 0
        self._file: BinaryIO = path.open("rb")
        self._rest = b""
        self._seek_last_line()

    def __enter__(self) -> Follow:
        return self

    def __exit__(self, *args: object) -> None:
        self._file.close()

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield what was appended since the last call, without waiting for more."""
        yield from self._read()
        while (path := self._next()) is not None:
            try:
                following = path.open("rb")
            except FileNotFoundError:  # renamed after it was listed
                continue
            yield from self._read()  # what was appended before the rotation
            self._file.close()
            self._file, self._rest = following, b""
            yield from self._read()
        nbytes = os.fstat(self._file.fileno()).st_size
        if nbytes < self._file.tell():
            # The sink cuts a failed write off, back to the last whole line. A file that
            # is even shorter was emptied, as by logrotate's copytruncate.
            whole = self._file.tell() - len(self._rest)
            self._file.seek(whole if nbytes >= whole else 0)
            self._rest = b""
            yield from self._read()

    def _seek_last_line(self) -> None:
        """Go to the end, or to the start of a line that is being written there."""
        end = self._file.seek(0, os.SEEK_END)
        begin = self._file.seek(max(end - BLOCK, 0))
        last = self._file.read(end - begin).rfind(b"\n") + 1
        self._file.seek(begin + last if last or not begin else end)

    def _next(self) -> Path | None:
        """Return the file that follows the open one; None if it is the last."""
        held = os.fstat(self._file.fileno())
        try:
            if os.path.samestat(os.stat(self.path), held):
                return None
            paths = find(self.path)
            same = [os.path.samestat(os.stat(path), held) for path in paths]
        except FileNotFoundError:  # between two names, or removed
            return None
        # If the open file was removed, the files between it and the last are unknown.
        return [*paths, self.path][same.index(True) + 1] if any(same) else self.path

    def _read(self) -> Iterator[dict[str, Any]]:
        while block := self._file.read(BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            self._rest = self._rest[:LONGEST_LINE]
            for line in lines:
                try:
                    record = record_of(line)
                except InvalidRecord:
                    self.broken += 1
                    continue
                if self.wanted.matches(record):
                    yield record
