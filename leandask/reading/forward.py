"""Scan: one pass over the lines of a log, which gives the records that are wanted."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from leandask.reading.files import LogFile
from leandask.reading.filter import Wanted
from leandask.reading.lines import record_of
from leandask.reading.problems import Problems, Sequence
from leandask.records.schema import SCHEMA_VERSION

Records = Iterator[dict[str, Any]]

#: What a line of our formatter begins with, what is between two such lines, and two of
#: its fields in their order.
_START, _BETWEEN = b'{"timestamp":"', b'}\n{"timestamp":"'
_FRAME = re.compile(rb'"scheduler_id":"([^"\\]*)","seq":(\d+)')


class Scan:
    """One pass over the files of a log, in their order.

    A block of lines that has none of the needles is not decoded: there only the frame
    of each line and its number are checked, which is four times as fast.

    Parameters
    ----------
    wanted : Wanted
        Which records are given.
    progress : callable
        Called with the bytes read of each block.
    """

    #: What was wrong so far.
    problems: Problems

    def __init__(self, wanted: Wanted, progress: Callable[[int], object]) -> None:
        self.problems = Problems()
        self._wanted = wanted
        self._progress = progress
        self._sequence = Sequence(self.problems)

    def records(self, file: LogFile) -> Records:
        """Give the records of the next file that are wanted.

        Parameters
        ----------
        file : LogFile

        Yields
        ------
        dict
        """
        needles = self._wanted.needles
        line = position = 0
        try:
            for block in file.blocks():
                if needles and (n := _skim(block, self._sequence)):
                    if any(needle in block for needle in needles):
                        yield from self._pick(block, file.path, line)
                else:
                    n = yield from self._decode(block, file.path, line)
                line += n
                self._progress(file.raw.tell() - position)
                position = file.raw.tell()
        except (OSError, EOFError, zlib.error) as e:  # of gzip, most likely
            self.problems.add("unreadable", file.path, line + 1, f"not read on: {e}")

    def _decode(
        self, block: bytes, path: Path, line: int
    ) -> Generator[dict[str, Any], None, int]:
        """Decode every line of a block, and tell how many they are."""
        sequence, matches = self._sequence, self._wanted.matches
        lines = block.split(b"\n")
        is_torn = lines.pop() != b""
        for text in lines:
            line += 1
            try:
                record = record_of(text)
                scheduler_id, seq = record["scheduler_id"], record["seq"]
                if seq == sequence.next and scheduler_id == sequence.scheduler_id:
                    sequence.next += 1
                else:
                    sequence.step(scheduler_id, seq, path, line)
                if record["schema_version"] != SCHEMA_VERSION:
                    self._note_version(record, path, line)
                if not matches(record):
                    continue
            except Exception as e:
                self._note(text, e, path, line)
            else:
                yield record
        if is_torn:
            what = "the last line ends too early, or is being written"
            self.problems.add("torn", path, line + 1, what)
        return len(lines)

    def _pick(self, block: bytes, path: Path, line: int) -> Records:
        """Decode the lines of a block that have a needle."""
        needles, matches = self._wanted.needles, self._wanted.matches
        for text in block.split(b"\n"):
            line += 1
            if any([needle in text for needle in needles]):
                try:
                    record = record_of(text)
                    if not matches(record):
                        continue
                except Exception as e:
                    self._note(text, e, path, line)
                else:
                    yield record

    def _note(self, text: bytes, error: Exception, path: Path, line: int) -> None:
        kind, what = "corrupt", str(error)
        if isinstance(error, KeyError):
            kind, what = "foreign", f"no record: it has no field {error}"
        self.problems.add(kind, path, line, f"{what}: {text[:60]!r}")

    def _note_version(self, record: dict[str, Any], path: Path, line: int) -> None:
        version = record["schema_version"]
        if version > SCHEMA_VERSION:
            text = f"of version {version}; this reader knows {SCHEMA_VERSION}"
            self.problems.add("newer", path, line, text)


def _skim(block: bytes, sequence: Sequence) -> int:
    """Tell how many lines a block has, if all are whole, and the next in sequence.

    Else 0: each line has to be looked at.
    """
    n = block.count(b"\n")
    if (
        block.count(_BETWEEN) != n - 1
        or not (block.startswith(_START) and block.endswith(b"}\n"))
        or b"\0" in block
    ):
        return 0
    frames = _FRAME.findall(block)
    scheduler_id, first = sequence.scheduler_id.encode(), sequence.next
    numbers = [int(seq) for name, seq in frames if name == scheduler_id]
    if len(frames) != n or numbers != [*range(first, first + n)]:
        return 0
    sequence.next += n
    return n
