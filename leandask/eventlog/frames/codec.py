"""Codec: how lines become frames of a compressed file, and lines again.

A frame is what zstd calls so, and what gzip calls a member: it is read without those
before it, and a file of several is as good as one. Each flush is a frame of its own, so
that a file is readable while it grows, and after its writer was killed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

#: Returns bytes of a file, by their place and number; fewer at its end.
Read = Callable[[int, int], bytes]

#: Bytes of a file that are read at once.
READ_BYTES = 64 * 1024


class TornFrame(EOFError):
    """The file ends within a frame: its writer was killed, or is writing it."""


class BrokenFrame(OSError):
    """The bytes are not a frame, or one that was damaged."""


class Decoder(Protocol):
    """Expands one frame, as ``compression.zstd.ZstdDecompressor`` does."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no more output without more input."""

    @property
    def unused_data(self) -> bytes:
        """What was given after the end of the frame."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes of what the frame holds."""


class Codec(ABC):
    """A format of compressed files."""

    #: First bytes of each frame that :meth:`compress` makes: what is looked for behind
    #: a broken one.
    signature: bytes
    #: What may follow a frame, to be skipped: zeros behind a gzipped file, on a tape.
    padding: bytes = b""
    #: How many times its size a log may expand to. Ours expand to 10 to 30 times; where
    #: long messages repeat, to some hundred times.
    expansion: int
    #: What decoding raises.
    errors: tuple[type[Exception], ...]

    @abstractmethod
    def compress(self, lines: bytearray) -> bytes:
        """Return a frame that holds the lines. Other threads run meanwhile."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """Return a new decoder of one frame, whose memory is bounded."""

    @abstractmethod
    def frame_end(self, read: Read, begin: int) -> int | None:
        """Return where the frame at a place ends, by its headers.

        None if they don't tell. The place may be behind the end of the file.

        Raises
        ------
        TornFrame
            If the file ends within the headers.
        BrokenFrame
            If no frame is there.
        """


def codec_of(compression: str) -> Codec:
    """Return the codec of ``"gzip"`` or ``"zstd"``.

    Raises
    ------
    ImportError
        If it needs a package that is not installed.
    """
    # Only here: a scheduler whose log is plain needs none of them.
    if compression == "gzip":
        from leandask.eventlog.frames.gzipcodec import GzipCodec

        return GzipCodec()
    from leandask.eventlog.frames.zstdcodec import ZstdCodec

    return ZstdCodec()


def reading(fd: int) -> Read:
    """Return a function that reads a file in larger pieces than it is asked for."""
    piece, start = b"", 0

    def read(begin: int, n: int) -> bytes:
        nonlocal piece, start
        if not start <= begin <= begin + n <= start + len(piece):
            piece, start = os.pread(fd, max(n, READ_BYTES), begin), begin
        return piece[begin - start : begin - start + n]

    return read
