"""Growth: the lines by which the files of a log have grown since they were read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from leandask.eventlog.frames.codec import BrokenFrame, TornFrame
from leandask.eventlog.frames.walk import frame_ends
from leandask.reading.files.listing import Log
from leandask.reading.files.logfile import READ_ERRORS, LogFile
from leandask.reading.files.logfiles import LogFiles

#: A file is recognised by its first line, also renamed or compressed. This has the
#: number of its first record: of two files that begin at the same time, the first
#: hundreds of bytes may be the same.
#: Bytes of it that count: no fewer, even if they are of several lines, and no more.
SHORTEST, HEAD = 128, 16 * 1024
#: Bytes of frames that count as one slice: they expand to ten times as much or more.
FRAMES_PART = 10
#: Errors of a log that are kept.
ERRORS = 10

#: How far each file was read, by its first line: bytes of its lines, and of its frames
#: if it is compressed.
Positions = dict[str, tuple[int, int]]


class Growth:
    """Reads what a log has more than it had.

    Parameters
    ----------
    positions : dict
        Brought up to date.
    """

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        #: What could not be read, in one line each.
        self.errors: list[str] = []
        #: Whether there may be more to read at once.
        self.has_more = False

    def blocks(self, log: Log, limit: int) -> Iterator[bytes]:
        """Yield whole lines in blocks of about 256 KiB, of about `limit` bytes."""
        seen: Positions = {}
        self.has_more = False
        with LogFiles.of(log) as files:
            for file in files.oldest_first():
                if limit <= 0:
                    self.has_more = True
                    break
                try:
                    read = self._frames if file.codec else self._lines
                    for block in read(file, limit, seen):
                        yield block
                        limit -= len(block)
                except READ_ERRORS as e:
                    self._note(f"{file.path.name}: {e}")
        if not self.has_more:  # files that are gone need no position
            self.positions.clear()
        self.positions.update(seen)

    def _note(self, error: object) -> None:
        if len(self.errors) < ERRORS:
            self.errors.append(str(error)[:300])

    def _lines(self, file: LogFile, limit: int, seen: Positions) -> Iterator[bytes]:
        """Yield the new lines of a plain file."""
        head = _digest(os.pread(file.raw.fileno(), HEAD, 0))
        if not head:
            return
        position, _ = self.positions.get(head, (0, 0))
        if position > file.nbytes:  # truncated, and the same records again
            position = 0
        seen[head] = position, 0
        file.raw.seek(position)
        for block in file.blocks():
            if limit <= 0:
                self.has_more = True
                return
            end = block.rfind(b"\n") + 1
            position += end
            limit -= end
            seen[head] = position, 0
            if end:
                yield block[:end]

    def _frames(self, file: LogFile, limit: int, seen: Positions) -> Iterator[bytes]:
        """Yield the new lines of a compressed file: those of whole frames."""
        head = _digest(next(file.blocks(self._note), b"")[:HEAD])
        if not head:
            return
        position, begin = self.positions.get(head, (0, 0))
        seen[head] = position, begin
        end = self._end(file, begin, limit // FRAMES_PART)
        if end is None and begin:
            return
        # If it was plain before, the lines that it had then are skipped.
        skipped = 0 if begin else position
        for block in file.blocks(self._note, begin, end):
            if (length := block.rfind(b"\n") + 1) > skipped:
                yield block[skipped:length]
                position += length - skipped
            skipped = max(skipped - len(block), 0)
        seen[head] = position, file.nbytes if end is None else end

    def _end(self, file: LogFile, begin: int, limit: int) -> int | None:
        """Return the end of the new frames; None if none is known."""
        assert file.codec is not None
        end = None
        try:
            for end in frame_ends(file.raw.fileno(), file.codec, begin):
                if end - begin > limit:
                    self.has_more = True
                    break
        except (TornFrame, BrokenFrame):  # it may be being written
            pass
        return end


def _digest(head: bytes) -> str:
    """Return the digest of a first line; "" while it is not whole."""
    end = head.find(b"\n", SHORTEST - 1) + 1
    if not end and len(head) < HEAD:
        return ""
    return hashlib.sha256(head[: end or HEAD]).hexdigest()[:24]
