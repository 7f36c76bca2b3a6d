"""LeanTaskState: a task that holds no empty set and no large set for few members."""

from __future__ import annotations

import zlib
from typing import Any

from distributed.protocol import Serialized
from distributed.scheduler import TaskState

from leandask.tasks.sharedset import EMPTY
from leandask.tasks.smallset import SmallSet

_add_dependency = TaskState.add_dependency
#: The place of the attribute of upstream's.
_exception: Any = TaskState.exception


class PackedError:
    """A pickled exception, without what its text and its traceback have too."""

    __slots__ = ("__weakref__", "_frames", "_traceback", "header", "text")

    def __init__(
        self, header: Any, frames: list[bytes], text: str, traceback: Serialized
    ) -> None:
        self.header, self.text = header, text
        self._traceback = traceback
        self._frames = tuple(map(self._pack, frames))

    def unpacked(self) -> Serialized:
        """Return the exception as it came."""
        return Serialized(self.header, [*map(self._unpack, self._frames)])

    def _pack(self, frame: bytes) -> bytes:
        packer = zlib.compressobj(level=1, zdict=self._known())
        return packer.compress(frame) + packer.flush()

    def _unpack(self, packed: bytes) -> bytes:
        return zlib.decompressobj(zdict=self._known()).decompress(packed)

    def _known(self) -> bytes:
        """What the frames are compared with; at most the window of zlib."""
        text = self.text.encode(errors="surrogatepass")
        return b"".join((*self._traceback.frames, text))[-(1 << zlib.MAX_WBITS) :]


class MixedTaskState(TaskState):
    """A task from before its scheduler got lean: as upstream's, beside lean ones.

    What it raises later is kept packed too.
    """

    __slots__ = ()

    def add_dependency(self, other: TaskState) -> None:
        """Add another task as a dependency of this one."""
        # Upstream adds to both sets, so none may be the one that all tasks share.
        if self.dependencies is EMPTY:
            self.dependencies = SmallSet((other,))
        if other.dependents is EMPTY:
            other.dependents = SmallSet((self,))
        _add_dependency(self, other)

    @property
    def exception(self) -> Any:
        """The exception that it raised, pickled; None if it has not."""
        error = _exception.__get__(self)
        return error.unpacked() if type(error) is PackedError else error

    @exception.setter
    def exception(self, error: Any) -> None:
        _exception.__set__(self, error)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As upstream's: whoever reads it may not have leandask.
        reduced: Any = super().__reduce_ex__(protocol)
        make, (_, *arguments), *state = reduced
        return make, (TaskState, *arguments), *state


class LeanTaskState(MixedTaskState):
    """A task whose sets are shared while they are empty, and small while they are.

    It has the attributes of upstream's, and no more. Two tasks are equal if they are
    the same: upstream compares keys, with a function in Python.
    """

    __slots__ = ()

    __hash__ = object.__hash__
    __eq__ = object.__eq__
