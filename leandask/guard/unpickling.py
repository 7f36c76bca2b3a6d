"""Unpickling: reads a pickled graph in pieces, and looks at the memory meanwhile."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from distributed.protocol.serialize import pickle_loads

#: Bytes from which it is watched how a graph is unpickled.
LARGE = 2**20
#: How a pickle of protocol 4 or later begins. Older ones have no pieces: a file of such
#: is read in steps of some bytes.
FRAMED = b"\x80\x04"


class WatchedBytes:
    """A file of bytes that calls a function before each of its pieces is read.

    Pickle writes pieces of 64 KiB, which are read one by one.
    """

    def __init__(self, data: Any, watch: Callable[[], None]) -> None:
        self._data = memoryview(data).cast("B")
        self._at = 0
        self._watch = watch

    def read(self, size: int) -> bytes:
        """Return so many bytes, or what is left."""
        self._watch()
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return bytes(piece)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there is something left; return how many bytes."""
        self._watch()
        piece = self._data[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def readline(self) -> bytes:
        """Return the bytes up to the end of a line; few opcodes have one."""
        rest = bytes(self._data[self._at :])
        line = rest[: rest.find(b"\n") + 1] or rest
        self._at += len(line)
        return line


def load(
    header: dict[str, Any], frames: list[Any], watch: Callable[[], None] | None
) -> Any:
    """Unpickle a graph as upstream does, and call a function again and again meanwhile.

    What the function raises ends it.
    """
    pickled = memoryview(frames[0])
    if watch is None or pickled.nbytes < LARGE or bytes(pickled[:2]) < FRAMED:
        return pickle_loads(header, frames)
    buffers = map(_as_sent, frames[1:], header["writeable"])
    return pickle.Unpickler(WatchedBytes(pickled, watch), buffers=buffers).load()


def _as_sent(frame: Any, is_writeable: bool) -> memoryview:
    view = memoryview(frame)
    if not is_writeable:
        return view.toreadonly()
    return memoryview(bytearray(view)) if view.readonly else view
