"""ZstdCodec: frames of zstd (RFC 8878).

The module is Python's own since 3.14; before that it is the package ``backports.zstd``,
which has the same names.
"""

from __future__ import annotations

import sys

from leandask.eventlog.frames.codec import (
    BrokenFrame,
    Codec,
    Decoder,
    Read,
    TornFrame,
)

try:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError as e:
    raise ImportError(
        "a log compressed with zstd needs the package backports.zstd (Python 3.14 has "
        "its own): pip install 'leandask[zstd]'"
    ) from e

MAGIC = b"\x28\xb5\x2f\xfd"
#: First bytes of frames that hold something else than data, without the first one.
SKIPPABLE = b"\x2a\x4d\x18"
#: Of the records of tasks, 1 makes smaller frames than 3, in less time and memory.
LEVEL = 1
#: Logarithm of the bytes of what was expanded that a decoder keeps: 8 MiB, as much as
#: every decoder should take. Only ``zstd --ultra`` and ``--long`` use more.
WINDOW_LOG = 23

#: Bytes of two fields of a frame's header, by the bits that tell.
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)
#: Types of blocks: one byte for all of it, and one that is not valid.
_RUN, _RESERVED = 1, 3


class ZstdCodec(Codec):
    """Frames of zstd, each with its size and a checksum."""

    signature = MAGIC
    expansion = 1000
    errors = (zstd.ZstdError,)

    def compress(self, lines: bytearray) -> bytes:
        """Return a frame that holds the lines."""
        # A new one each time: kept, it would hold its tables between two writes.
        parameter = zstd.CompressionParameter
        compressor = zstd.ZstdCompressor(
            options={parameter.compression_level: LEVEL, parameter.checksum_flag: 1}
        )
        compressor.set_pledged_input_size(len(lines))
        return compressor.compress(lines, compressor.FLUSH_FRAME)

    def decoder(self) -> Decoder:
        """Return a new decoder of one frame."""
        parameter = zstd.DecompressionParameter
        decoder: Decoder = zstd.ZstdDecompressor(
            options={parameter.window_log_max: WINDOW_LOG}
        )
        return decoder

    def frame_end(self, read: Read, begin: int) -> int | None:
        """Return where the frame at a place ends: each block tells its size."""
        head = read(begin, 8)
        if head[1:4] == SKIPPABLE and head[0] >> 4 == 5 and len(head) == 8:
            return begin + 8 + int.from_bytes(head[4:], "little")
        if head[:4] != MAGIC[: len(head)]:
            raise BrokenFrame(f"no frame of zstd begins at byte {begin}")
        if len(head) < 5:
            raise TornFrame("the file ends within the header of a frame")
        descriptor = head[4]
        is_single = descriptor >> 5 & 1
        size_bytes = _SIZE_BYTES[descriptor >> 6] or is_single
        position = begin + 5 + (1 - is_single) + _DICTIONARY_BYTES[descriptor & 3]
        position += size_bytes
        is_last = 0
        while not is_last:
            header = read(position, 3)
            if len(header) < 3:
                raise TornFrame("the file ends within a frame")
            block = int.from_bytes(header, "little")
            is_last, kind, nbytes = block & 1, block >> 1 & 3, block >> 3
            if kind == _RESERVED:
                raise BrokenFrame(f"the frame at byte {begin} is not valid")
            position += 3 + (1 if kind == _RUN else nbytes)
        return position + 4 * (descriptor >> 2 & 1)  # the checksum
