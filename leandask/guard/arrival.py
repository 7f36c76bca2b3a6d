"""Arrival: looks at the size of a client's message before it is read."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from tornado.iostream import StreamClosedError

from leandask.guard.refusals import Refuse
from leandask.guard.sieve import Sieve

if TYPE_CHECKING:
    from dask.typing import Key

#: Frames up to which a message is looked at: their sizes are read at once.
MOST_FRAMES = 2**20
#: Bytes of a number in the head of a message.
NUMBER = struct.calcsize("Q")


class Arrival:
    """Reads the messages of a client, and refuses the graphs of one that does not fit.

    It goes around the two methods by which upstream reads from a connection. A message
    says first how many bytes it has. One that fits is handed on as it is. Of any other
    only a piece at a time is in memory: the keys of its large graphs are answered, and
    all else that it says is handed on as smaller messages.

    Parameters
    ----------
    stream : tornado.iostream.IOStream
    judge : callable
        Returns how to refuse the graphs of a message with frames of so many bytes, the
        first of which is its body; None if there is room for it. A coroutine function.
    is_known : callable
        Whether the scheduler has a task with a key.
    lose : callable
        Reports that a message was lost, by its name, as it could be neither handed on
        nor answered.
    """

    def __init__(
        self,
        stream: Any,
        judge: Callable[[tuple[int, ...]], Awaitable[Refuse | None]],
        is_known: Callable[[Key], bool],
        lose: Callable[[str], None],
    ) -> None:
        self._read_bytes = WeakMethod(stream.read_bytes)
        self._read_into = WeakMethod(stream.read_into)
        self._judge = judge
        self._is_known = is_known
        self._lose = lose
        #: What was read ahead, and is handed on first.
        self._ahead = b""
        #: The messages that are handed on after that, as frames.
        self._kept: deque[list[bytes]] = deque()
        stream.read_bytes, stream.read_into = self.read_bytes, self.read_into

    async def read_bytes(self, nbytes: int, partial: bool = False) -> bytes:
        """Read the size of the next message, and look at its other sizes."""
        if self._kept:
            return self._hand_on(self._kept.popleft())
        size = await self._read(nbytes)
        (left,) = struct.unpack("Q", size)
        if left < NUMBER:  # upstream says what is wrong with it
            return size
        head = await self._read(NUMBER)
        (n_frames,) = struct.unpack("Q", head)
        if not 0 < n_frames <= min(left // NUMBER, MOST_FRAMES):  # upstream's to judge
            self._ahead = head
            return size
        head += await self._read(NUMBER * n_frames)
        frames = struct.unpack_from(f"{n_frames}Q", head, NUMBER)
        refuse = await self._judge(frames)
        if refuse is None:
            self._ahead = head
            return size
        sieve = Sieve(self._read, frames, refuse, self._is_known, self._lose)
        self._kept.extend(await sieve.sift())
        return self._hand_on(self._kept.popleft())

    def _hand_on(self, frames: list[bytes]) -> bytes:
        """Hand on a message with these frames next; return its size as it is read."""
        sizes = struct.pack(f"{len(frames) + 1}Q", len(frames), *map(len, frames))
        self._ahead = sizes + b"".join(frames)
        return struct.pack("Q", len(self._ahead))

    async def read_into(self, buffer: Any, partial: bool = False) -> int:
        """Fill a buffer: with what was read ahead, then from the connection."""
        ahead, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        buffer[: len(ahead)] = ahead
        if rest := buffer[len(ahead) :]:
            await self._call(self._read_into, rest)
        return len(buffer)

    async def _read(self, nbytes: int) -> bytes:
        return bytes(await self._call(self._read_bytes, nbytes))

    async def _call(self, method: WeakMethod[Any], *args: Any) -> Any:
        """Call a method of the stream, which has this object: it must not be held."""
        function = method()
        if function is None:
            raise StreamClosedError
        return await function(*args)
