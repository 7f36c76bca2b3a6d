"""The tasks of a task stream: the last ones as they came, older ones packed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from distributed.protocol import Serialized

from leandask.histories.tasks.taskblock import Block, Task, answer, ends, pack

#: Tasks that are packed together. As one of these, a task takes 50 bytes instead of
#: 1045, and it is packed in 10 µs and unpacked in 8.
BLOCK = 128
#: Bytes of a task that is not packed, and is not counted more exactly.
TASK_BYTES = 1045
#: Bytes of packed tasks. Without errors that is more than 100,000 tasks, all that
#: upstream keeps; one that errs takes 100 to 10,000.
MOST_BYTES = 16 * 2**20


class TaskBuffer(Sequence[Task]):
    """The tasks of a task stream, oldest first.

    The last ones are as they came. Older ones are kept only while somebody watches, and
    packed: the objects of a task would take 20 times the memory, and would keep the
    memory around them from going back to the system.

    Parameters
    ----------
    tasks : iterable of dict
        What it holds at first, as far as its bound allows.
    bound : int or None
        Tasks kept while nobody watches.
    most : int or None
        Tasks kept while somebody watches.
    """

    def __init__(self, tasks: Iterable[Task], bound: int | None, most: int | None):
        self.bound = bound
        self.most = most
        #: The last tasks; what pages show.
        self.recent: deque[Task] = deque()
        #: When the first and the last of the evicted tasks ended.
        self.evicted_from, self.evicted_until = math.inf, -math.inf
        self._is_watched = False
        self._blocks: deque[Block] = deque()
        self._packed_bytes = 0
        #: Older than `recent`, and too few for another block.
        self._unpacked: list[Task] = []
        #: The block that was read last, and its tasks.
        self._read: tuple[Block, list[Task]] | None = None
        for task in tasks:
            self.append(task)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}>"

    def __reduce__(self) -> Any:
        # A client that fetches it needs no leandask.
        return deque, (list(self), self.maxlen)

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._unpacked) + len(self.recent)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"{self!r} has no index {index}")
        number, index = divmod(index % length, BLOCK)
        if number < len(self._blocks):
            return self._unpack(self._blocks[number])[index]
        index += BLOCK * (number - len(self._blocks))
        n_unpacked = len(self._unpacked)
        if index < n_unpacked:
            return self._unpacked[index]
        return self.recent[index - n_unpacked]

    @property
    def n_older(self) -> int:
        """Tasks kept because somebody watches."""
        return len(self) - len(self.recent)

    @property
    def nbytes(self) -> int:
        """Bytes of these."""
        return self._packed_bytes + TASK_BYTES * len(self._unpacked)

    @property
    def maxlen(self) -> int | None:
        """Tasks kept now."""
        return self.most if self._is_watched else self.bound

    @property
    def is_watched(self) -> bool:
        """Whether older tasks are kept."""
        return self._is_watched

    @is_watched.setter
    def is_watched(self, is_watched: bool) -> None:
        self._is_watched = is_watched
        if not is_watched:
            self._evict(0)

    def answer(self, begin: int, end: int) -> Serialized | None:
        """Return tasks for a client, packed; None if that is not possible."""
        blocks = []
        while begin < end:
            number, offset = divmod(begin, BLOCK)
            stop = min(end, begin - offset + BLOCK)
            if number < len(self._blocks) and stop - begin == BLOCK:
                blocks.append(self._blocks[number])
            else:
                blocks.append(pack(self[begin:stop]))
            begin = stop
        return answer(blocks)

    def resize(self, bound: int | None) -> None:
        """Set another number of tasks to keep while nobody watches."""
        self.bound = bound
        self._shorten()

    def append(self, task: Task) -> None:
        """Add the newest task."""
        self._read = None  # nobody reads the older ones now
        self.recent.append(task)
        self._shorten()

    def clear(self) -> None:
        """Evict all tasks."""
        self._evict(0)
        while self.recent:
            self.note_evicted(*ends([self.recent.popleft()]))

    def _shorten(self) -> None:
        """Move tasks beyond the bound to the older ones, or evict them."""
        while self.bound is not None and len(self.recent) > self.bound:
            task = self.recent.popleft()
            if not self._is_watched:
                self.note_evicted(*ends([task]))
                continue
            self._unpacked.append(task)
            if len(self._unpacked) == BLOCK:
                block = pack(self._unpacked)
                self._blocks.append(block)
                self._packed_bytes += len(block.data)
                self._unpacked.clear()
        if self.most is not None and len(self) > self.most:
            self._evict(max(self.most - len(self.recent), 0))
        while self._packed_bytes > MOST_BYTES:
            self._evict_block()

    def _evict(self, n_older: int) -> None:
        """Evict the oldest until at most so many older ones are left."""
        self._read = None
        while self._blocks and self.n_older > n_older:
            self._evict_block()
        n_beyond = len(self._unpacked) - n_older
        if n_beyond > 0:
            self.note_evicted(*ends(self._unpacked[:n_beyond]))
            del self._unpacked[:n_beyond]

    def _evict_block(self) -> None:
        block = self._blocks.popleft()
        self._packed_bytes -= len(block.data)
        self.note_evicted(block.earliest, block.latest)

    def note_evicted(self, earliest: float, latest: float) -> None:
        """Note when the first and the last of some tasks ended that are gone."""
        self.evicted_from = min(self.evicted_from, earliest)
        self.evicted_until = max(self.evicted_until, latest)

    def _unpack(self, block: Block) -> list[Task]:
        if self._read is None or self._read[0] is not block:
            self._read = block, block.unpack()
        return self._read[1]
