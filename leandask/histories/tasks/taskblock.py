"""Blocks of tasks: packed in the form in which answers to clients have them."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack
from distributed.protocol import Serialized, decompress, deserialize, serialize
from distributed.utils import nbytes

from leandask.histories.names import weigh

#: The header of bytes that are serialized. Workers send exceptions so, as a pickle.
BYTES, _ = serialize(b"")

#: The parts of an erred task that its worker serialized.
ERROR = ("exception", "traceback")

#: A task as upstream keeps it: what its worker reported.
Task = dict[str, Any]


class Block(NamedTuple):
    """Tasks that are packed together."""

    #: Compressed: MessagePack if they are plain, or else a pickle.
    data: bytes
    #: Whether they are as a client gets them: values that messages have a type for.
    is_plain: bool
    number: int
    #: When the first and the last of them ended, in seconds since the epoch.
    earliest: float
    latest: float

    def unpack(self) -> list[Task]:
        """Return the tasks."""
        data = zlib.decompress(self.data)
        if self.is_plain:
            data = _array_head(self.number) + data
            return [*msgpack.unpackb(data, use_list=False, strict_map_key=False)]
        tasks: list[Task] = pickle.loads(data)
        return tasks


def pack(tasks: Sequence[Task]) -> Block:
    """Make a block of tasks."""
    plain = _dump_plain(tasks)
    data = _dump_any(tasks) if plain is None else plain
    data = zlib.compress(data, 1)
    return Block(data, plain is not None, len(tasks), *ends(tasks))


def copy_error(task: Task) -> None:
    """Copy a task's error: its frames are views, and keep the message that had them."""
    for name in ERROR:
        error = task.get(name)
        if type(error) is Serialized:
            task[name] = Serialized(error.header, [*map(bytes, error.frames)])


def weigh_task(task: Task) -> int:
    """Bytes of the long texts in a task, and of its error."""
    weight = 0
    for name, value in task.items():
        kind = type(value)
        if kind is str or kind is bytes or kind is tuple:
            if name != "cause" or value is not task["key"]:
                weight += weigh(value)
    for name in ERROR:
        for frame in getattr(task.get(name), "frames", None) or ():
            weight += nbytes(frame)
    return weight


def ends(tasks: Sequence[Task]) -> tuple[float, float]:
    """When the first and the last of some tasks ended."""
    ends = [max(part["stop"] for part in task["startstops"]) for task in tasks]
    return min(ends), max(ends)


def answer(blocks: Sequence[Block]) -> Serialized | None:
    """Return an answer that a client reads as upstream's; None if not all are plain.

    The blocks are sent as they are, and no object of a task is made: those of all tasks
    of an answer would be so many that others come to lie between them, and keep their
    memory from going back. A client decompresses and joins the frames of an answer: an
    array's head and its items.
    """
    if not all(block.is_plain for block in blocks):
        return None
    head = _array_head(sum(block.number for block in blocks))
    compression = [None, *["zlib"] * len(blocks)]
    return Serialized(
        {"serializer": "msgpack", "compression": compression},
        [head, *[block.data for block in blocks]],
    )


def _array_head(number: int) -> bytes:
    """What an array of so many items begins with in MessagePack."""
    head: bytes = msgpack.Packer().pack_array_header(number)
    return head


def _dump_plain(tasks: Sequence[Task]) -> bytes | None:
    # Lists would be read back as tuples. What came in a message has none.
    if any(type(task["startstops"]) is not tuple for task in tasks):
        return None
    try:
        return b"".join([msgpack.packb(task, default=_as_bytes) for task in tasks])
    except Exception:
        return None


def _as_bytes(value: Any) -> Any:
    """Return what a client gets, if that is bytes. Nothing is unpickled."""
    if isinstance(value, Serialized) and BYTES.items() <= value.header.items():
        frames = decompress(value.header, value.frames)
        return deserialize(value.header, frames)
    return value


def _dump_any(tasks: Sequence[Task]) -> bytes:
    try:
        return _dump(tasks)
    except Exception:  # workers of the same process send objects as they are
        return _dump([{name: _plain(v) for name, v in t.items()} for t in tasks])


def _plain(value: Any) -> Any:
    try:
        _dump(value)
    except Exception:
        return _text_of(value)
    return value


def _text_of(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # a hostile object may raise anything
        return f"<unprintable {type(value).__name__}>"


def _dump(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file, 5).dump(value)
    return file.getvalue()


class _Pickler(pickle.Pickler):
    #: What workers send serialized, such as exceptions, is in views of a message.
    dispatch_table = {memoryview: lambda view: (bytes, (view.tobytes(),))}
