"""Compressed logs for tests, read by other programs than leandask."""

from __future__ import annotations

import gzip
import shutil
import subprocess

from leandask.eventlog.frames.codec import codec_of
from leandask.eventlog.frames.zstdcodec import zstd
from leandask.settings.logpath import COMPRESSIONS

#: Endings of compressed files.
ENDINGS = [*COMPRESSIONS]


def codec_for(path):
    """The codec of a file, by its name."""
    return codec_of(COMPRESSIONS[path.suffix])


def expanded(path):
    """What a program that is not ours reads in a file, which must be whole."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if not data.startswith(b"\x28\xb5\x2f\xfd"):
        return data
    if zstdcat := shutil.which("zstdcat"):
        return subprocess.check_output([zstdcat], input=data)
    return zstd.decompress(data)


def frame_of(path, *lines):
    """A frame for a file of that name."""
    return codec_for(path).compress(bytearray(b"".join(lines)))
