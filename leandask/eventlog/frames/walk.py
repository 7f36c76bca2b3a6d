"""Walk: from frame to frame of a compressed file, by their headers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from leandask.eventlog.frames.codec import (
    READ_BYTES,
    BrokenFrame,
    Codec,
    Read,
    TornFrame,
    reading,
)


def frame_ends(
    fd: int, codec: Codec, begin: int = 0, *, expands: bool = True
) -> Iterator[int]:
    """Yield where each whole frame ends, from the start of one on.

    Parameters
    ----------
    fd : int
    codec : Codec
    begin : int, optional
        Where a frame starts.
    expands : bool, optional
        Whether a frame without its size is expanded to find its end. If not, the walk
        ends there.

    Raises
    ------
    TornFrame, BrokenFrame
        At the first frame that is not whole.
    """
    size = os.fstat(fd).st_size
    read = reading(fd)
    while begin < size:
        end = codec.frame_end(read, begin)
        if end is None:
            if not expands:
                return
            end = _expanded_end(read, codec, begin)
        if end > size:
            raise TornFrame("the file ends within a frame")
        yield end
        begin = end


def find_frame(read: Read, codec: Codec, begin: int) -> int | None:
    """Return the place of the next frame; None if there is none."""
    signature = codec.signature
    while piece := read(begin, READ_BYTES):
        found = piece.find(signature)
        while found >= 0:
            if _may_be_frame(read, codec, begin + found):
                return begin + found
            found = piece.find(signature, found + 1)
        if len(piece) < len(signature):
            break
        begin += len(piece) - len(signature) + 1
    return None


def _may_be_frame(read: Read, codec: Codec, begin: int) -> bool:
    try:
        codec.frame_end(read, begin)
    except TornFrame:
        return True
    except BrokenFrame:
        return False
    return True


def _expanded_end(read: Read, codec: Codec, begin: int) -> int:
    decoder = codec.decoder()
    position = begin
    while not decoder.eof:
        data = read(position, READ_BYTES) if decoder.needs_input else b""
        if decoder.needs_input and not data:
            raise TornFrame("the file ends within a frame")
        position += len(data)
        try:
            decoder.decompress(data, READ_BYTES)
        except codec.errors as e:
            raise BrokenFrame(f"the frame at byte {begin} is not valid: {e}") from e
    return position - len(decoder.unused_data)
