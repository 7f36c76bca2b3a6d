"""Contents: what is in a compressed file, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

from leandask.eventlog.frames.codec import (
    BrokenFrame,
    Codec,
    Read,
    TornFrame,
    codec_of,
    reading,
)
from leandask.eventlog.frames.walk import find_frame, frame_ends
from leandask.settings.logpath import COMPRESSIONS, split_ending

#: Bytes that are expanded at once, and the most that they become.
PIECE, EXPANDED_PIECE = 16 * 1024, 256 * 1024
#: Broken frames of a file after which it is not read on.
MOST_BROKEN = 100
#: Bytes of frames that are read forward at once when a file is read from its end: a
#: megabyte of lines.
SPAN_BYTES = 32 * 1024

#: First bytes of compressed files.
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}

#: Called with what is wrong with a frame, before what follows it is read.
Broken = Callable[[Exception], object]


def codec_at(name: str, head: bytes) -> Codec | None:
    """Return the codec of a file by its name, or by its first bytes; None if plain.

    Raises
    ------
    OSError
        If it needs a package that is not installed.
    """
    compression = COMPRESSIONS.get(split_ending(name)[1])
    if compression is None:  # logrotate puts its number behind the ending
        found = [kind for magic, kind in _MAGIC.items() if head.startswith(magic)]
        if not found:
            return None
        compression = found[0]
    try:
        return codec_of(compression)
    except ImportError as e:
        raise OSError(str(e)) from e


def contents(
    read: Read, codec: Codec, begin: int, end: int | None, broken: Broken
) -> Iterator[bytes]:
    """Yield what is in the frames from one place to another, 256 KiB at a time.

    A frame that is torn or broken is reported, and left at the next one that leandask
    wrote.

    Raises
    ------
    OSError, EOFError, or an error of the codec
        If it can't be read on.
    """
    errors: tuple[type[Exception], ...] = (TornFrame, *codec.errors)
    data, position, n_broken = b"", begin, 0
    while True:
        start = position - len(data)
        decoder = codec.decoder()
        try:
            while not decoder.eof:
                if decoder.needs_input and not data:
                    data = read(position, _at_most(PIECE, position, end))
                    if not data and position == start:
                        return
                    if not data:
                        raise TornFrame(f"the frame at byte {start} ends too early")
                    position += len(data)
                    if position - len(data) == start:
                        data = data.lstrip(codec.padding)
                        start = position - len(data)
                        continue
                part, data = decoder.decompress(data, EXPANDED_PIECE), b""
                if part:
                    yield part
            data = decoder.unused_data.lstrip(codec.padding)
        except errors as e:
            n_broken += 1
            following = find_frame(read, codec, start + 1)
            if following is None and _is_unsized(read, codec, start):
                if isinstance(e, TornFrame):
                    raise EOFError("it ends too early") from e
                raise
            if n_broken == MOST_BROKEN:
                raise BrokenFrame(
                    f"{n_broken} frames are broken; it is not read on"
                ) from e
            broken(
                e
                if isinstance(e, TornFrame)
                else BrokenFrame(f"the frame at byte {start} is broken: {e}")
            )
            if following is None or (end is not None and following >= end):
                return
            data, position = b"", following


def strictly(error: Exception) -> NoReturn:
    """Let a frame that is torn or broken end the reading."""
    raise error


def _at_most(n: int, position: int, end: int | None) -> int:
    return n if end is None else min(n, end - position)


def _is_unsized(read: Read, codec: Codec, begin: int) -> bool:
    """Whether another program wrote a file, whose frames can't be found."""
    try:
        return codec.frame_end(read, begin) is None
    except TornFrame:
        return False
    except BrokenFrame:
        return True


def spans(fd: int, codec: Codec) -> Iterator[int]:
    """Yield the places from which a file can be read, every 32 KiB as far as known.

    A file without sizes of its frames, as gzip writes it, can only be read from its
    start.
    """
    read = reading(fd)
    begin: int | None = 0
    last = 0
    yield 0
    while begin is not None:
        try:
            for end in frame_ends(fd, codec, begin, expands=False):
                if end - last >= SPAN_BYTES:
                    yield end
                    last = end
                begin = end
            return
        except (TornFrame, BrokenFrame):
            begin = find_frame(read, codec, begin + 1)
