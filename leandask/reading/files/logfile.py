"""LogFile: one file of a log, plain or compressed."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from leandask.eventlog.frames.codec import Codec
from leandask.reading.files.contents import (
    Broken,
    codec_at,
    contents,
    spans,
    strictly,
)
from leandask.reading.files.listing import FoundFile

#: What reading a file may raise: of gzip, most likely. That of zstd is reported as a
#: broken frame.
READ_ERRORS = (OSError, EOFError, zlib.error)
#: Bytes that are read at once.
BLOCK = 256 * 1024
#: Longest line that is read, in bytes; ``leandask.stream.record-bytes`` is far below.
#: To decode it, orjson takes 12 times as much, and crashes where that can't be had.
LONGEST_LINE = 4 * 2**20
#: Bytes without an end of a line after which a file is not read on: it may be a hole of
#: any size, which takes no place on the disk.
ENDLESS = 256 * 2**20

# Bounds of a compressed file, which may be made to expand to a thousand times its size
# and more: it is read until one of them is passed.
#: Bytes that any file may expand to; how many times its size, the codec knows.
EXPANDED = 256 * 2**20
#: Lines that may be shorter on average than any record, and the bytes of the shortest.
SHORT_LINES, SHORTEST = 200_000, 100


class LogFile:
    """A file of a log. Once it is open, it may be renamed or removed.

    Parameters
    ----------
    found : FoundFile
    """

    #: How it was found last.
    found: FoundFile
    #: Bytes on the disk, when it was opened.
    nbytes: int
    #: Why it can't be read, if it can't be opened.
    error: OSError | None

    def __init__(self, found: FoundFile) -> None:
        self.found = found
        self.nbytes = found.nbytes
        self.error = None
        #: How it is compressed; None if it is plain, or not open.
        self.codec: Codec | None = None
        self._raw: BinaryIO | None = None

    def __repr__(self) -> str:
        state = self.error or ("open" if self._raw else "closed")
        return f"<{type(self).__name__} {str(self.path)!r}: {state}>"

    @property
    def path(self) -> Path:
        """Its name when it was opened."""
        return self.found.path

    @property
    def identity(self) -> tuple[int, int] | None:
        """What it keeps when it is renamed; None if it can't be looked at."""
        return self.found.identity

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._raw is not None

    def open(self) -> bool:
        """Open the file, and return whether it is still the one that was found.

        If it can't be opened for another reason, that is its :attr:`error`.
        """
        if self._raw is not None or self.error is not None:
            return True
        try:
            raw = open_regular(self.path)
        except FileNotFoundError:
            return False
        except OSError as e:
            self.error = e
            return True
        status = os.fstat(raw.fileno())
        # A file that is shorter was emptied: what was in it may be in a new file.
        if (status.st_dev, status.st_ino) == self.identity and (
            status.st_size >= self.nbytes
        ):
            self.nbytes, self._raw = status.st_size, raw
            try:
                self.codec = codec_at(self.path.name, os.pread(raw.fileno(), 4, 0))
            except OSError as e:
                self.close()
                self.error = e
            return True
        raw.close()
        return False

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    @property
    def raw(self) -> BinaryIO:
        """The file as it is on the disk; raises its :attr:`error` if it has one."""
        if self.error is not None:
            raise self.error
        assert self._raw is not None
        return self._raw

    @property
    def position(self) -> int:
        """Bytes of the file on the disk that have been read."""
        return self._raw.tell() if self._raw is not None else 0

    def blocks(
        self,
        broken: Broken = strictly,
        begin: int = 0,
        end: int | None = None,
    ) -> Iterator[bytes]:
        """Yield the lines in blocks that end with a line.

        Parameters
        ----------
        broken : callable, optional
            Called with what is wrong with a frame, which is skipped then. By default
            that is raised.
        begin, end : int, optional
            The part to read: two places that :meth:`spans` yielded.

        Yields
        ------
        bytes
            Approximately 256 KiB. Only the last block may end within a line.

        Raises
        ------
        OSError, EOFError, zlib.error
            If the file can't be opened or read, is named .gz and is not a gzipped
            file, or expands to far more than a log does.
        """
        rest = bytearray()
        n_endless = 0

        def cut(error: Exception) -> None:
            rest.clear()  # the rest of this line is lost
            broken(error)

        raw = self.raw
        parts = (
            self._expanded(self.codec, cut, begin, end)
            if self.codec
            else iter(lambda: raw.read(BLOCK), b"")
        )
        for block in parts:
            length = block.rfind(b"\n") + 1
            if length:
                yield bytes(rest) + block[:length]
                rest[:] = block[length:]
                n_endless = 0
                continue
            if len(rest) < LONGEST_LINE:
                rest += block
            # A longer line is not a record. Its end is kept, which is no JSON either.
            n_endless = check_endless(n_endless + len(block))
        if rest:
            yield bytes(rest)

    def spans(self) -> Iterator[int]:
        """Yield the places of a compressed file from which it can be read."""
        assert self.codec is not None
        return spans(self.raw.fileno(), self.codec)

    def read_at(self, begin: int, n: int) -> bytes:
        """Return bytes of the file on the disk."""
        return os.pread(self.raw.fileno(), n, begin)

    def _read(self, begin: int, n: int) -> bytes:
        self.raw.seek(begin)
        return self.raw.read(n)

    def _expanded(
        self,
        codec: Codec,
        broken: Broken,
        begin: int,
        end: int | None,
    ) -> Iterator[bytes]:
        """Yield what is in a compressed file, as far as it is bounded."""
        nbytes = n_lines = 0
        most = max(EXPANDED, codec.expansion * self.nbytes)
        for block in contents(self._read, codec, begin, end, broken):
            yield block
            nbytes += len(block)
            n_lines += block.count(b"\n")
            if nbytes > most:
                raise OSError(f"it expands to more than {most} bytes")
            if n_lines > SHORT_LINES and nbytes < n_lines * SHORTEST:
                raise OSError(f"its first {n_lines} lines are too short for records")


def check_endless(nbytes: int) -> int:
    """Return the bytes that were read without an end of a line.

    Raises
    ------
    OSError
        If that is too much.
    """
    if nbytes > ENDLESS:
        raise OSError(f"there is no end of a line in {nbytes} bytes")
    return nbytes


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, unless it is a FIFO, a device or the like.

    Raises
    ------
    OSError
        If it can't be opened, or is not a regular file.
    """
    file = open(path, "rb", opener=_open_without_waiting)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(f"{path} must be a regular file to be read as a log")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO may wait
