"""MessageBody: reads the messages of a body piece by piece, as it comes in."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgpack

#: Bytes that are read at once.
PIECE = 2**18
#: Names in a map that stands for what is in other frames; from distributed's
#: ``protocol/core.py``.
FRAMES = ("__Serialized__", "__Pickled__")
#: Names in a map that stands for a set; from its ``protocol/utils.py``.
SET = ["__Set__", "as-list"]
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


def members_of(value: Any) -> list[Any] | None:
    """Return the members of a value as upstream iterates over it; None if it has none.

    Examples
    --------
    >>> members_of({"__Set__": True, "as-list": ("x", "y")}), members_of(None)
    (['x', 'y'], None)
    """
    if isinstance(value, dict) and [*value] == SET:
        value = value[SET[1]]
    return [*value] if isinstance(value, (list, tuple, str, bytes, dict)) else None


class Message:
    """One of the messages that a client sends together, as far as it was read.

    There may be millions, such as one for each key that is released.
    """

    __slots__ = ("frames", "is_kept", "kept", "packed", "said")

    def __init__(self) -> None:
        #: By name; or what it is, if it is no map.
        self.said: Any = {}
        #: The same as it is handed on.
        self.packed = b""
        #: Where its parts are that are in frames of their own.
        self.frames: list[Any] = []
        self.is_kept = True
        #: Its frames that were read, by their place.
        self.kept: dict[int, bytes] = {}

    @property
    def op(self) -> Any:
        """The name of what it tells the scheduler to do."""
        return self.said.get("op") if isinstance(self.said, dict) else None

    @property
    def is_graph(self) -> bool:
        """Whether it has a graph."""
        return bool(self.op == "update-graph")

    @property
    def keys(self) -> list[Any] | None:
        """The keys that it names; None if it names none."""
        is_map = isinstance(self.said, dict)
        return members_of(self.said.get("keys")) if is_map else None


class TooLarge(Exception):
    """A value has more bytes than were asked for."""


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
    #: Other frames of the message in which values that were read have parts.
    frames: list[Any]

    def __init__(self, read: Callable[[int], Awaitable[bytes]], nbytes: int) -> None:
        self._read = read
        self.left = nbytes
        self.frames = []
        #: What was skipped since a value began, a little more than so many bytes.
        self._kept: bytearray | None = None
        self._most = 0
        self._options: dict[str, Any] = {
            "use_list": False,
            "strict_map_key": False,
            "object_hook": self._look_at,
        }
        self._unpacker = msgpack.Unpacker(max_buffer_size=2**31 - 1, **self._options)

    async def count(self) -> int:
        """Begin to read an array; return the number of its values."""
        return int(await self._take(self._unpacker.read_array_header))

    async def count_pairs(self) -> int:
        """Begin to read a map; return the number of its pairs."""
        return int(await self._take(self._unpacker.read_map_header))

    async def begin_members(self) -> int | list[Any] | None:
        """Begin to read keys: an array, or anything else that has members.

        Returns the number of the values that follow. What has its members not in an
        array is read as a whole, and they are returned; None if it has none.
        """
        with suppress(ValueError):  # not an array
            return await self.count()
        try:
            n_pairs = await self.count_pairs()
        except ValueError:  # not a map
            return members_of(await self.value())
        names = []
        for _ in range(n_pairs):
            names.append(await self.value())
            if names == SET:
                return await self.count()
            await self.skip()
        return names

    async def value(self) -> Any:
        """Read a value as a whole."""
        return await self._take(self._unpacker.unpack)

    async def small_value(self, most: int) -> Any:
        """Read a value of at most so many bytes.

        Raises
        ------
        TooLarge
            If it is larger: it was skipped then.
        """
        self._kept = bytearray()
        self._most = most
        try:
            await self.skip()
            if len(self._kept) > most:
                raise TooLarge
            return msgpack.unpackb(bytes(self._kept), **self._options)
        finally:
            self._kept = None

    async def skip(self) -> None:
        """Read a value of any size, and keep nothing of it."""
        n_values = 1
        while n_values:
            n_values += await self._skip_head() - 1

    def _look_at(self, pairs: dict[Any, Any]) -> dict[Any, Any]:
        self.frames += [pairs[name] for name in FRAMES if name in pairs]
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
        if self._kept is not None and len(self._kept) <= self._most:
            self._kept += some
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
