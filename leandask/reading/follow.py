"""Follow: the records that are appended to a log, as they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

from leandask.eventlog.filelock import standing_still
from leandask.reading.files.contents import codec_at
from leandask.reading.files.growing import GrowingFile, GrowingFrames
from leandask.reading.files.listing import FoundFile, find_log
from leandask.reading.files.logfile import LogFile, open_regular
from leandask.reading.filter import RecordFilter
from leandask.reading.lines import InvalidRecord, record_of
from leandask.reading.problems import Problems
from leandask.reading.sequence import Sequences


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
        self._file = self._growing(open_regular(path))
        self._file.go_to_end()

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
            self._file = self._growing(following.raw)
            yield from self._read()

    def _growing(self, file: BinaryIO) -> GrowingFile:
        """Return a file that is read from its start on."""
        try:
            codec = codec_at(self.path.name, os.pread(file.fileno(), 4, 0))
        except OSError:
            file.close()
            raise
        if codec is None:
            return GrowingFile(file)
        return GrowingFrames(
            file, codec, lambda e: self.problems.add_unreadable(self.path, 0, e)
        )

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
        return os.path.samestat(status, self._file.status)

    def _following(self) -> FoundFile | None:
        held = self._file.status
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
        for block in self._file.blocks():
            lines = block.split(b"\n")
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
