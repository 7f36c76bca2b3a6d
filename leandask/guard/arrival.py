"""Arrival: looks at the size of a client's message before it is read."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgpack

from leandask.guard.messagebody import PIECE, MessageBody
from leandask.guard.refusals import SLICE, Answer

if TYPE_CHECKING:
    from dask.typing import Key

#: Bytes from which a message counts.
LARGE = 2**20
#: Frames up to which a message is looked at: their sizes are read at once.
MOST_FRAMES = 2**20
#: Bytes of a number in the head of a message.
NUMBER = struct.calcsize("Q")


class Arrival:
    """Reads the messages of a client, and refuses the graphs of one that does not fit.

    It goes around the two methods by which upstream reads from a connection. A message
    says first how many bytes it has. One that fits is handed on as it is. Of any other
    only a piece at a time is in memory: the keys of its graphs are answered, and all
    else that it says is handed on as a smaller message.

    Parameters
    ----------
    stream : tornado.iostream.IOStream
    fits : callable
        Returns whether there is room for a message of so many bytes, so many of which
        are its body; a coroutine function.
    refuse : callable
        Gets the number of keys of a graph that is refused; returns how to answer them.
    is_known : callable
        Whether the scheduler has a task with a key.
    lose : callable
        Reports that another message was lost, by its name: what it refers to came with
        a graph that was refused.
    """

    def __init__(
        self,
        stream: Any,
        fits: Callable[[int, int], Awaitable[bool]],
        refuse: Callable[[int], Answer],
        is_known: Callable[[Key], bool],
        lose: Callable[[str], None],
    ) -> None:
        self._read_bytes = stream.read_bytes
        self._read_into = stream.read_into
        self._fits = fits
        self._refuse = refuse
        self._is_known = is_known
        self._lose = lose
        #: What was read ahead, and is handed on first.
        self._ahead = b""
        stream.read_bytes, stream.read_into = self.read_bytes, self.read_into

    async def read_bytes(self, nbytes: int, partial: bool = False) -> bytes:
        """Read the size of the next message, and look at its other sizes."""
        size = await self._read_bytes(nbytes)
        (left,) = struct.unpack("Q", size)
        if left < NUMBER:  # upstream says what is wrong with it
            return bytes(size)
        head = await self._read_bytes(NUMBER)
        (n_frames,) = struct.unpack("Q", head)
        if not 0 < n_frames <= min(left // NUMBER, MOST_FRAMES):  # upstream's to judge
            self._ahead = head
            return bytes(size)
        head += await self._read_bytes(NUMBER * n_frames)
        frames = struct.unpack_from(f"{n_frames}Q", head, NUMBER)
        total = sum(frames)
        if total < LARGE or await self._fits(total, frames[0]):
            self._ahead = head
            return bytes(size)
        body = MessageBody(self._read_bytes, frames[0])
        kept = await self._read_refused(body)
        await self._discard(body.left + total - frames[0])
        self._ahead = struct.pack("QQ", 1, len(kept)) + kept
        return struct.pack("Q", len(self._ahead))

    async def read_into(self, buffer: Any, partial: bool = False) -> int:
        """Fill a buffer: with what was read ahead, then from the connection."""
        ahead, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        buffer[: len(ahead)] = ahead
        if rest := buffer[len(ahead) :]:
            await self._read_into(rest)
        return len(buffer)

    async def _discard(self, nbytes: int) -> None:
        while nbytes:
            nbytes -= len(await self._read_bytes(min(PIECE, nbytes)))

    async def _read_refused(self, body: MessageBody) -> bytes:
        """Answer the graphs of a message; return what else it says."""
        kept = []
        for _ in range(await body.count()):
            said: dict[str, Any] = {}
            body.has_frames = False
            for _ in range(await body.count_pairs()):
                name = await body.value()
                if said.get("op") != "update-graph":
                    said[name] = await body.value()
                elif name == "keys":
                    await self._refuse_keys(body)
                else:
                    await body.skip()
            if said.get("op") == "update-graph" or self._is_needless(said):
                continue
            if body.has_frames:
                self._lose(str(said.get("op")))
            else:
                kept.append(said)
        return bytes(msgpack.packb(kept))

    async def _refuse_keys(self, body: MessageBody) -> None:
        n_keys = await body.count_members()
        answer = self._refuse(n_keys)
        for first in range(0, n_keys, SLICE):
            size = min(SLICE, n_keys - first)
            await answer.send([await body.value() for _ in range(size)])

    def _is_needless(self, said: dict[str, Any]) -> bool:
        """Whether a message releases only what is not there, such as refused tasks."""
        return said.get("op") == "client-releases-keys" and not any(
            map(self._is_known, said.get("keys", ()))
        )
