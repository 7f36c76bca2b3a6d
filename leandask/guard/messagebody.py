"""MessageBody: reads the body of a message piece by piece, as it comes in."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack

#: Bytes that are read at once.
PIECE = 2**18
#: Names in a map that stands for what is in other frames; from distributed's
#: ``protocol/core.py``.
FRAMES = {"__Serialized__", "__Pickled__"}
#: By the first byte of a value: the format of the number behind it, the bytes behind
#: that besides as many as it says, whether it counts bytes, and how many values each of
#: what it counts has; from https://github.com/msgpack/msgpack/blob/master/spec.md.
_SIZES = {0xC4: ("B", 0), 0xC5: (">H", 0), 0xC6: (">I", 0)}  # bin
_SIZES |= {0xC7: ("B", 1), 0xC8: (">H", 1), 0xC9: (">I", 1)}  # ext
_SIZES |= {0xD9: ("B", 0), 0xDA: (">H", 0), 0xDB: (">I", 0)}  # str
_COUNTS = {0xDC: (">H", 1), 0xDD: (">I", 1), 0xDE: (">H", 2), 0xDF: (">I", 2)}
#: Values of one length: numbers, and ext of fixed lengths.
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2}
_FIXED |= {0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}


class MessageBody:
    """A message in msgpack, of which only a piece is in memory.

    Parameters
    ----------
    read : callable
        Returns an awaitable of so many bytes.
    nbytes : int
        Bytes of the body.
    """

    #: Bytes that are not read yet.
    left: int
    #: Whether a value that was read has a part in another frame of the message.
    has_frames: bool

    def __init__(self, read: Callable[[int], Awaitable[bytes]], nbytes: int) -> None:
        self._read = read
        self.left = nbytes
        self.has_frames = False
        self._unpacker = msgpack.Unpacker(
            use_list=False,
            strict_map_key=False,
            object_hook=self._look_at,
            max_buffer_size=2**31 - 1,
        )

    async def count(self) -> int:
        """Begin to read an array; return the number of its values."""
        return int(await self._take(self._unpacker.read_array_header))

    async def count_pairs(self) -> int:
        """Begin to read a map; return the number of its pairs."""
        return int(await self._take(self._unpacker.read_map_header))

    async def count_members(self) -> int:
        """Begin to read an array or a set; return the number of its values.

        A set is a map that has its values in an array, as its last value.
        """
        try:
            return await self.count()
        except ValueError:  # not an array
            await self.count_pairs()
            while await self.value() != "as-list":
                await self.skip()
            return await self.count()

    async def value(self) -> Any:
        """Read a value as a whole."""
        return await self._take(self._unpacker.unpack)

    async def skip(self) -> None:
        """Read a value of any size, and keep nothing of it."""
        n_values = 1
        while n_values:
            n_values += await self._skip_head() - 1

    def _look_at(self, pairs: dict[Any, Any]) -> dict[Any, Any]:
        self.has_frames |= not FRAMES.isdisjoint(pairs)
        return pairs

    async def _skip_head(self) -> int:
        """Skip a value without those in it; return how many these are."""
        tag = (await self._bytes(1))[0]
        if 0x80 <= tag <= 0x8F:
            return 2 * (tag & 0x0F)
        if 0x90 <= tag <= 0x9F:
            return tag & 0x0F
        if tag in _COUNTS:
            form, values = _COUNTS[tag]
            return values * await self._number(form)
        if 0xA0 <= tag <= 0xBF:
            nbytes = tag & 0x1F
        elif tag in _SIZES:
            form, more = _SIZES[tag]
            nbytes = await self._number(form) + more
        else:
            nbytes = _FIXED.get(tag, 0)
        while nbytes:
            nbytes -= len(await self._some(nbytes))
        return 0

    async def _number(self, form: str) -> int:
        return int(struct.unpack(form, await self._bytes(struct.calcsize(form)))[0])

    async def _bytes(self, nbytes: int) -> bytes:
        found = b""
        while len(found) < nbytes:
            found += await self._some(nbytes - len(found))
        return found

    async def _some(self, nbytes: int) -> bytes:
        while not (some := self._unpacker.read_bytes(nbytes)):
            await self._feed()
        return bytes(some)

    async def _take(self, take: Callable[[], Any]) -> Any:
        while True:
            try:
                return take()
            except msgpack.OutOfData:
                await self._feed()

    async def _feed(self) -> None:
        if not self.left:
            raise ValueError("a message is shorter than it says")
        piece = await self._read(min(PIECE, self.left))
        self.left -= len(piece)
        self._unpacker.feed(piece)
