"""GrowingFile: whole lines of a file, as they are appended to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from leandask.eventlog.frames.codec import (
    BrokenFrame,
    Codec,
    TornFrame,
    reading,
)
from leandask.eventlog.frames.walk import find_frame, frame_ends
from leandask.reading.files.contents import contents
from leandask.reading.files.logfile import BLOCK, LONGEST_LINE

#: First bytes of a file, by which it is recognised: they have the time of a record, or
#: depend on it.
HEAD = 256


class GrowingFile:
    """A plain file to which lines are appended.

    Parameters
    ----------
    file : BinaryIO
        Closed by :meth:`close`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        #: What was read of its first bytes.
        self._head = b""
        #: Bytes that were read, and those of whole lines.
        self._position = self._whole = 0
        #: Start of a line that has no end yet.
        self._rest = b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def status(self) -> os.stat_result:
        """What the system says of the file."""
        return os.fstat(self._file.fileno())

    def go_to_end(self) -> None:
        """Go to the end, or to the start of a line that is being written there."""
        end = self.status.st_size
        begin = max(end - BLOCK, 0)
        last = self._bytes(begin, end - begin).rfind(b"\n") + 1
        self._go_to(begin + last if last or not begin else end)
        self._head = self._bytes(0, HEAD)

    def blocks(self) -> Iterator[bytes]:
        """Yield the whole lines that were appended, in blocks that end with a line."""
        while block := self._next_block():
            if self._position < HEAD:
                self._head = (self._head[: self._position] + block)[:HEAD]
            self._position += len(block)
            end = block.rfind(b"\n") + 1
            if not end:
                if len(self._rest) < LONGEST_LINE:
                    self._rest += block
                continue
            lines = self._rest + block[:end]
            self._rest = block[end:]
            self._whole = self._position - len(self._rest)
            yield lines

    def _go_to(self, position: int) -> None:
        """Go to the start of a line."""
        self._position = self._whole = position
        self._rest = b""

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
        if not is_same or self.status.st_size < self._whole:
            self._go_to(0)
        elif self._bytes(self._whole, len(rest := self._rest[:BLOCK])) != rest:
            self._go_to(self._whole)


class GrowingFrames(GrowingFile):
    """A compressed file to which frames are appended.

    A frame is read once it is whole: the sink cuts a failed one off, and tries again.

    Parameters
    ----------
    file : BinaryIO
        Closed by :meth:`close`.
    codec : Codec
    broken : callable
        Called with what is wrong with a frame that is skipped.
    """

    def __init__(
        self, file: BinaryIO, codec: Codec, broken: Callable[[Exception], object]
    ) -> None:
        self._codec = codec
        self._broken = broken
        super().__init__(file)

    def go_to_end(self) -> None:
        """Go to the end of the last whole frame."""
        for _ in self._parts():
            pass
        self._head = self._bytes(0, HEAD)

    def blocks(self) -> Iterator[bytes]:
        """Yield the whole lines of the frames that were appended."""
        self._check_place()
        for begin, end in self._parts():
            self._head = self._head or self._bytes(0, HEAD)
            read = reading(self._file.fileno())
            for block in contents(read, self._codec, begin, end, self._broken):
                lines = self._rest + block
                length = lines.rfind(b"\n") + 1
                self._rest = lines[length:][:LONGEST_LINE]
                if length:
                    yield lines[:length]

    def _parts(self) -> Iterator[tuple[int, int]]:
        """Yield the place of each frame that is whole, and go to its end."""
        fd = self._file.fileno()
        while True:
            try:
                for end in frame_ends(fd, self._codec, self._whole):
                    begin, self._whole = self._whole, end
                    yield begin, end
                return
            except TornFrame as e:
                error: Exception = e
            except BrokenFrame as e:
                error = e
            # One that is being written is the last one.
            following = find_frame(reading(fd), self._codec, self._whole + 1)
            if following is None:
                return
            self._broken(error)
            self._whole, self._rest = following, b""

    def _check_place(self) -> None:
        """Go to the start if the file was emptied. A whole frame is never cut off."""
        is_same = self._bytes(0, len(self._head)) == self._head
        if not is_same or self.status.st_size < self._whole:
            self._head = b""
            self._go_to(0)
