"""ForwardScan: one pass over the lines of a log, the oldest first."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from leandask.reading.files.logfile import READ_ERRORS, LogFile
from leandask.reading.files.logfiles import AnyFiles
from leandask.reading.filter import RecordFilter
from leandask.reading.lines import InvalidRecord, record_of
from leandask.reading.lives import NEEDLES, NOTED, Lives
from leandask.reading.problems import Problems
from leandask.reading.sequence import Sequences
from leandask.records.schema import SCHEMA_VERSION

Records = Iterator[dict[str, Any]]

#: Start of a line that our formatter writes, the end of one and the start of the next,
#: and two adjacent fields.
_START, _BETWEEN = b'{"timestamp":"', b'}\n{"timestamp":"'
_FRAME = re.compile(rb'"scheduler_id":"([^"\\]*)","seq":(\d{1,16})\b')


class ForwardScan:
    """One pass over the files of logs, in their order.

    A block of lines without any of the needles is not decoded: only the start, the end
    and the number of each line are checked, which is four times as fast.

    Parameters
    ----------
    wanted : RecordFilter
    progress : callable
        Called with the bytes read of each block.
    lives : Lives, optional
        Gets the lives of the schedulers, whatever is wanted.
    from_start : bool, optional
        Whether it is a problem if the first records of a scheduler are missing.
    """

    #: What was wrong so far.
    problems: Problems

    def __init__(
        self,
        wanted: RecordFilter,
        progress: Callable[[int], object],
        lives: Lives | None = None,
        from_start: bool = True,
    ) -> None:
        self.problems = Problems()
        self._wanted = wanted
        self._lives = Lives() if lives is None else lives
        # Lines that have none of these need not be decoded.
        self._needles = wanted.needles
        if lives is not None and wanted.needles:
            self._needles += NEEDLES
        self._take: Callable[[bytes], bytes] = getattr(wanted, "take", bytes)
        self._progress = progress
        self._sequences = Sequences(self.problems, from_start=from_start)
        #: Lines read of the file that is open.
        self._line = 0

    def records(self, logs: Iterable[AnyFiles]) -> Records:
        """Yield the wanted records of all files of some logs."""
        needles = self._needles
        for file in itertools.chain.from_iterable(log.oldest_first() for log in logs):
            position = self._line = 0
            for block in self._blocks(file):
                if needles and (n := _skim(block, self._sequences)):
                    left = self._take(block)
                    if any(needle in left for needle in needles):
                        yield from self._pick(left, file.path, self._line)
                    self._see_last(block)
                else:
                    n = yield from self._decode(block, file.path, self._line)
                self._line += n
                self._progress(file.position - position)
                position = file.position

    def _blocks(self, file: LogFile) -> Iterator[bytes]:
        def broken(error: Exception) -> None:
            self.problems.add_unreadable(file.path, self._line + 1, error)

        # Only the reading is guarded: an error of the filter is the caller's own.
        try:
            for block in file.blocks(broken):
                # The first line may be of another scheduler, and those after it its
                # next records: then only this one is decoded.
                n = 0 if self._line else block.find(b"\n") + 1
                for part in (block[:n], block[n:]):
                    if part:
                        yield part
        except READ_ERRORS as e:
            broken(e)

    def _decode(
        self, block: bytes, path: Path, line: int
    ) -> Generator[dict[str, Any], None, int]:
        """Decode every line of a block, and return how many there are."""
        sequences, matches, lives = self._sequences, self._wanted.matches, self._lives
        previous = None
        scheduler_id, current = sequences.scheduler_id, sequences.current
        lines = block.split(b"\n")
        is_torn = lines.pop() != b""
        for text in lines:
            line += 1
            try:
                record = record_of(text)
            except InvalidRecord as e:
                self.problems.add_invalid(path, line, text, e)
                continue
            seq = record["seq"]
            if seq == current.next and record["scheduler_id"] == scheduler_id:
                current.next = seq + 1
            else:
                if previous is not None:  # the last one of a scheduler, most likely
                    lives.see(previous)
                sequences.step(record["scheduler_id"], seq, path, line)
                scheduler_id, current = sequences.scheduler_id, sequences.current
            if record["schema_version"] > SCHEMA_VERSION:
                version = record["schema_version"]
                what = f"version {version}; this reader knows {SCHEMA_VERSION}"
                self.problems.add("newer", path, line, what)
            if record["event_name"] in NOTED:
                lives.see(record)
            previous = record
            if matches(record):
                yield record
        if previous is not None:
            lives.see(previous)
        if is_torn:
            what = "the last line ends too early, or is being written"
            self.problems.add("torn", path, line + 1, what)
        return len(lines)

    def _pick(self, block: bytes, path: Path, line: int) -> Records:
        """Decode the lines of a block that have a needle."""
        needles, matches, lives = self._needles, self._wanted.matches, self._lives
        for text in block.split(b"\n"):
            line += 1
            if any([needle in text for needle in needles]):
                try:
                    record = record_of(text)
                except InvalidRecord as e:
                    self.problems.add_invalid(path, line, text, e)
                    continue
                if record["event_name"] in NOTED:
                    lives.see(record)
                if matches(record):
                    yield record

    def _see_last(self, block: bytes) -> None:
        """Note the last record of a block that was not decoded."""
        with contextlib.suppress(InvalidRecord):
            self._lives.see(record_of(block[block.rfind(b"\n", 0, -1) + 1 :]))


def _skim(block: bytes, sequences: Sequences) -> int:
    """Count the lines of a block without decoding them; 0 if that does not do.

    It does if each line is whole and has the next number of the same scheduler.
    """
    n = block.count(b"\n")
    if (
        block.count(_BETWEEN) != n - 1
        or not (block.startswith(_START) and block.endswith(b"}\n"))
        or b"\0" in block
    ):
        return 0
    frames = _FRAME.findall(block)
    scheduler_id, first = sequences.scheduler_id.encode(), sequences.current.next
    numbers = [int(seq) for name, seq in frames if name == scheduler_id]
    if len(frames) != n or numbers != [*range(first, first + n)]:
        return 0
    sequences.current.next += n
    return n
