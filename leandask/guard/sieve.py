"""Sieve: what is handed on of a client's message that does not fit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgpack

from leandask.guard.messagebody import PIECE, Message, MessageBody, TooLarge
from leandask.guard.refusals import SLICE, Answer, Refuse

if TYPE_CHECKING:
    from dask.typing import Key

#: Name of what a client says of keys that it does not want any more.
RELEASE = "client-releases-keys"
#: Bytes up to which graphs and data of a message that does not fit are handed on.
MOST_BYTES = 2**20
#: Bytes from which what is handed on is said in a message of its own.
AT_ONCE = 2**18
#: Keys of a graph up to which it is read before it is judged.
MOST_KEYS = 1000


class Sieve:
    """Reads a message piece by piece, and keeps what is small.

    A client sends what it has said within 2 ms as one message. So that may be a large
    graph, which is refused, and small ones, which are judged as any other.

    Parameters
    ----------
    read : callable
        Returns an awaitable of so many bytes of the message.
    sizes : tuple of int
        Bytes of each frame. The first one is the body, which refers to the others.
    refuse : callable
        Gets the number of keys of a graph that is refused; returns how to answer them.
    is_known, lose : callable
        As of :class:`~leandask.guard.arrival.Arrival`.
    """

    def __init__(
        self,
        read: Callable[[int], Awaitable[bytes]],
        sizes: tuple[int, ...],
        refuse: Refuse,
        is_known: Callable[[Key], bool],
        lose: Callable[[str], None],
    ) -> None:
        self._read = read
        self._sizes = sizes
        self._refuse = refuse
        self._is_known = is_known
        self._lose = lose
        self._body = MessageBody(read, sizes[0])
        #: Those that may be dropped later; of the others only what is handed on.
        self._messages: list[Message | bytes] = []
        #: Keys of graphs that are kept, and those that other messages name, such as to
        #: release them: what the scheduler has of either is out of date.
        self._coming: set[Key] = set()
        self._mentioned: set[Key] = set()
        #: Bytes of graphs and data that may still be kept.
        self._left = MOST_BYTES

    async def sift(self) -> list[list[bytes]]:
        """Read the message, and answer the graphs that are not kept.

        Returns the frames of one or more messages that say the rest. They are small, as
        to unpack one takes five times as much, and there is little room.
        """
        is_array = True
        try:
            n_messages = await self._body.count()
        except ValueError:  # a single one
            is_array, n_messages = False, 1
        for _ in range(n_messages):
            await self._read_message()
        await self._discard(self._body.left)
        await self._read_frames()
        large = [each for each in self._messages if isinstance(each, Message)]
        kept = [each for each in large if each.is_kept and each.is_graph]
        self._coming &= {key for m in kept for key in m.keys or ()}
        for message in large:
            if not message.is_kept:
                await self._drop(message)
        return self._parted(is_array)

    def _parted(self, is_array: bool) -> list[list[bytes]]:
        """Return what is handed on, as the frames of small messages."""
        packed: list[bytes] = []
        frames: dict[int, bytes] = {}
        found, nbytes = [], 0
        for message in self._messages:
            if nbytes > AT_ONCE:
                found.append(_framed(packed, frames, is_array))
                packed, frames, nbytes = [], {}, 0
            if isinstance(message, Message):
                if not message.is_kept:
                    continue
                frames.update(message.kept)
                message = message.packed
            packed.append(message)
            nbytes += len(message)
        return [*found, _framed(packed, frames, is_array)]

    async def _read_message(self) -> None:
        message = await self._read_said()
        message.packed = msgpack.packb(message.said)
        if message.is_graph or message.frames:
            self._take(message, len(message.packed))
            if message.is_kept:
                self._messages.append(message)
                self._note(message)
            else:
                await self._drop(message)
        elif not self._is_needless(message):
            self._messages.append(message.packed)
            self._note(message)

    def _note(self, message: Message) -> None:
        """Note what the scheduler will know of keys once it has what is kept."""
        keys = message.keys or ()
        with suppress(TypeError):  # one that is no key: upstream's to judge
            if message.is_graph:
                self._coming.update(keys)
                return
            self._mentioned.update(keys)
            if message.op == RELEASE:
                self._coming.difference_update(keys)

    async def _read_said(self) -> Message:
        body, message = self._body, Message()
        body.frames = message.frames
        try:
            n_pairs = await body.count_pairs()
        except ValueError:  # not a map: upstream's to judge
            message.said = await body.value()
            return message
        for _ in range(n_pairs):
            name = await body.value()
            if not message.is_graph:
                message.said[name] = await body.value()
            elif name == "keys":
                await self._read_keys(message)
            elif message.is_kept:
                try:
                    message.said[name] = await body.small_value(self._left)
                except TooLarge:
                    message.is_kept = False
            else:
                await body.skip()
        return message

    async def _read_keys(self, message: Message) -> None:
        members = await self._body.begin_members()
        if isinstance(members, int) and members > MOST_KEYS:
            message.is_kept = False
            message.said["keys"] = ()
            await self._answer(members)
            return
        if isinstance(members, int):
            members = [await self._body.value() for _ in range(members)]
        message.said["keys"] = members

    async def _answer(self, n_keys: int) -> None:
        """Answer keys that come next."""
        answer = self._refuse(n_keys)
        for first in range(0, n_keys, SLICE):
            size = min(SLICE, n_keys - first)
            keys = [await self._body.value() for _ in range(size)]
            await self._send(answer, keys)

    async def _send(self, answer: Answer, keys: list[Key]) -> None:
        """Answer keys for which the client does not get anything else."""
        keys = [key for key in keys if key not in self._coming]
        await answer.send(keys, self._mentioned)

    async def _drop(self, message: Message) -> None:
        keys = message.keys if message.is_graph else None
        if keys is None:
            self._lose(str(message.op))
        elif keys:
            await self._send(self._refuse(len(keys)), keys)

    def _take(self, message: Message, nbytes: int) -> None:
        """Keep a part of a message if it is small enough, and else none of it."""
        message.is_kept = message.is_kept and nbytes <= self._left
        if message.is_kept:
            self._left -= nbytes

    async def _read_frames(self) -> None:
        """Keep the frames of what is kept: of each part a head, and those it counts."""
        large = [each for each in self._messages if isinstance(each, Message)]
        heads = {n: message for message in large for n in message.frames}
        message, n_parts = None, 0
        for number, size in enumerate(self._sizes[1:], 1):
            if number in heads:
                message, n_parts = heads[number], 1
            if message is None or not n_parts:
                await self._discard(size)
                continue
            self._take(message, size)
            if not message.is_kept:
                message.kept.clear()
                n_parts = 0
                await self._discard(size)
                continue
            frame = await self._read_whole(size)
            message.kept[number] = frame
            n_parts -= 1
            if number in heads:
                head = msgpack.unpackb(frame, strict_map_key=False)
                n_parts = head["num-sub-frames"]

    async def _read_whole(self, nbytes: int) -> bytes:
        frame = b""
        while len(frame) < nbytes:
            frame += await self._read(min(PIECE, nbytes - len(frame)))
        return frame

    async def _discard(self, nbytes: int) -> None:
        while nbytes:
            nbytes -= len(await self._read(min(PIECE, nbytes)))

    def _is_needless(self, message: Message) -> bool:
        """Whether a message releases only what is not there, such as refused tasks."""
        if message.op != RELEASE or message.keys is None:
            return False
        try:
            return not any(map(self._is_there, message.keys))
        except TypeError:  # one that is no key: upstream's to judge
            return False

    def _is_there(self, key: Key) -> bool:
        is_said = key in self._coming or key in self._mentioned
        return is_said or self._is_known(key)


def _framed(packed: list[bytes], kept: dict[int, bytes], is_array: bool) -> list[bytes]:
    """Return the frames of a message, given those of its parts by their places."""
    body = b"".join(packed)
    if is_array or not packed:
        body = msgpack.Packer().pack_array_header(len(packed)) + body
    # The body refers to the others by their places.
    places = range(1, max(kept, default=0) + 1)
    return [body, *(kept.get(place, b"") for place in places)]
