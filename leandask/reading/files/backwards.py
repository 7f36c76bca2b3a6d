"""Backwards: the lines of a file from its end, plain or compressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leandask.reading.files.logfile import (
    BLOCK,
    LONGEST_LINE,
    READ_ERRORS,
    LogFile,
    check_endless,
)

#: Lines that are searched together.
SLICE = 64


def lines_backwards(file: LogFile, block: int = BLOCK) -> Iterator[list[bytes]]:
    """Yield the lines of a file, from its end to its start.

    Parameters
    ----------
    file : LogFile
        A plain one.
    block : int, optional
        Bytes to read at once.

    Yields
    ------
    list of bytes
        Up to 64 lines, the last one first. A line longer than any record is cut.

    Raises
    ------
    OSError
        If it can't be read on.
    """
    position = file.nbytes if file.raw else 0  # raises if it could not be opened
    rest = b""  # the end of a line that starts in the block before
    n_endless = 0
    while position:
        begin = max(position - block, 0)
        data = file.read_at(begin, position - begin)
        n_endless = 0 if b"\n" in data else check_endless(n_endless + len(data))
        position = begin
        if n_endless > LONGEST_LINE and begin:
            continue  # which is no record, and would be copied each time
        lines = (data + rest).split(b"\n")
        rest = lines.pop(0)[:LONGEST_LINE] if begin else b""
        lines.reverse()
        for i in range(0, len(lines), SLICE):
            yield lines[i : i + SLICE]


class PartBackwards:
    """Yields the lines of a part of a compressed file, of which the later are known.

    Other programs begin a frame within a line. So the first line of a part is not
    yielded: it belongs to the part before it, which is read next.

    Parameters
    ----------
    file : LogFile
    broken : callable
        Called with what is wrong with a frame that is skipped.
    begin : int
    end : int or None
    following : bytes
        The first line of the part that follows.
    """

    #: The first line, to be yielded by the part before this one.
    first: bytes

    def __init__(
        self,
        file: LogFile,
        broken: Callable[[Exception], None],
        begin: int,
        end: int | None,
        following: bytes,
    ) -> None:
        self.first = b""
        self._blocks = file.blocks(broken, begin, end)
        self._is_start = begin == 0
        self._following = following

    def __iter__(self) -> Iterator[bytes]:
        rest, error = b"", None
        try:
            for block in self._blocks:
                if not self._is_start:
                    length = block.find(b"\n") + 1 or len(block)
                    self.first, block = self.first + block[:length], block[length:]
                    self._is_start = self.first.endswith(b"\n")
                if block.endswith(b"\n"):
                    yield block
                else:
                    rest = block
        except READ_ERRORS as e:  # it can't be read on, but what follows was read
            error = e
        if not self._is_start:  # no line ends here
            self.first = (self.first + self._following)[:LONGEST_LINE]
        elif rest or self._following:
            yield rest + self._following
        if error is not None:
            raise error
