"""The tasks of a task stream: the last ones as they came, older ones packed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from distributed.protocol import Serialized

from leandask.histories.names import Limit, is_beyond
from leandask.histories.tasks.taskblock import (
    Block,
    Task,
    answer,
    copy_error,
    ends,
    pack,
    weigh_task,
)

#: Tasks that are packed together. As one of these, a task takes 50 bytes instead of
#: 1045, and it is packed in 10 µs and unpacked in 8.
BLOCK = 128
#: Bytes of a task that is not packed, without its long texts and its error.
TASK_BYTES = 1045
#: Bytes of tasks that wait to be packed together. With long names they are fewer.
WAITING_BYTES = 2 * BLOCK * TASK_BYTES
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
    limit : Limit or None, optional
        Bytes of the tasks kept while nobody watches. The newest task stays.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        bound: int | None,
        most: int | None,
        limit: Limit | None = None,
    ) -> None:
        self.bound = bound
        self.most = most
        self.limit = limit
        #: Bytes of long texts and errors in `recent`.
        self.weight = 0
        #: The last tasks; what pages show.
        self.recent: deque[Task] = deque()
        #: When the first and the last of the evicted tasks ended.
        self.evicted_from, self.evicted_until = math.inf, -math.inf
        self._is_watched = False
        self._blocks: deque[Block] = deque()
        self._packed = self._packed_bytes = 0
        #: Older than `recent`, and too few for another block.
        self._unpacked: list[Task] = []
        self._unpacked_weight = 0
        #: The block that was read last: where it begins, and its tasks.
        self._read: tuple[int, list[Task]] | None = None
        for task in tasks:
            self.append(task)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}>"

    def __reduce__(self) -> Any:
        # A client that fetches it needs no leandask.
        return deque, (list(self), self.maxlen)

    def __len__(self) -> int:
        return self._packed + len(self._unpacked) + len(self.recent)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        length = len(self)
        if not -length <= index < length:
            raise IndexError(f"{self!r} has no index {index}")
        index %= length
        if index < self._packed:
            return self._get_packed(index)
        index -= self._packed
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
        unpacked = TASK_BYTES * len(self._unpacked) + self._unpacked_weight
        return self._packed_bytes + unpacked

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
        blocks, first = [], 0
        for block in self._blocks:
            last = first + block.number
            start, stop = max(begin, first), min(end, last)
            if stop - start == block.number:
                blocks.append(block)
            elif start < stop:
                blocks.append(pack(self[start:stop]))
            first = last
        for i in range(max(begin, first), end, BLOCK):
            blocks.append(pack(self[i : min(end, i + BLOCK)]))
        return answer(blocks)

    def copy(self) -> TaskBuffer:
        """Return one with the same tasks, such as to read them in another thread."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _read=None)
        other.recent = self.recent.copy()
        other._blocks = self._blocks.copy()
        other._unpacked = self._unpacked.copy()
        return other

    def resize(self, bound: int | None, limit: Limit | None = None) -> None:
        """Set other bounds for the tasks that are kept while nobody watches."""
        self.bound = bound
        self.limit = limit
        self._shorten()

    def append(self, task: Task) -> None:
        """Add the newest task."""
        self._read = None  # nobody reads the older ones now
        copy_error(task)
        self.recent.append(task)
        self.weight += weigh_task(task)
        self._shorten()

    def clear(self) -> None:
        """Evict all tasks."""
        self._evict(0)
        while self.recent:
            self.note_evicted(*ends([self._pop_recent()[0]]))

    def _shorten(self) -> None:
        """Move tasks beyond the bounds to the older ones, or evict them."""
        while self._is_full():
            task, weight = self._pop_recent()
            if not self._is_watched:
                self.note_evicted(*ends([task]))
                continue
            self._unpacked.append(task)
            self._unpacked_weight += weight
            waiting = TASK_BYTES * len(self._unpacked) + self._unpacked_weight
            if len(self._unpacked) == BLOCK or waiting > WAITING_BYTES:
                self._pack_waiting()
        if self.most is not None and len(self) > self.most:
            self._evict(max(self.most - len(self.recent), 0))
        while self._packed_bytes > MOST_BYTES:
            self._evict_block()

    def _is_full(self) -> bool:
        kept = len(self.recent)
        if self.bound is not None and kept > self.bound:
            return True
        return kept > 1 and is_beyond(kept, self.weight, None, self.limit)

    def _pop_recent(self) -> tuple[Task, int]:
        task = self.recent.popleft()
        weight = weigh_task(task)
        self.weight -= weight
        return task, weight

    def _pack_waiting(self) -> None:
        tasks = self._unpacked
        block = pack(tasks)
        self._blocks.append(block)
        self._packed += block.number
        self._packed_bytes += len(block.data)
        self._unpacked, self._unpacked_weight = [], 0

    def _evict(self, n_older: int) -> None:
        """Evict the oldest until at most so many older ones are left."""
        self._read = None
        while self._blocks and self.n_older > n_older:
            self._evict_block()
        n_beyond = len(self._unpacked) - n_older
        if n_beyond > 0:
            self.note_evicted(*ends(self._unpacked[:n_beyond]))
            self._unpacked_weight -= sum(map(weigh_task, self._unpacked[:n_beyond]))
            del self._unpacked[:n_beyond]

    def _evict_block(self) -> None:
        block = self._blocks.popleft()
        self._packed -= block.number
        self._packed_bytes -= len(block.data)
        self.note_evicted(block.earliest, block.latest)

    def note_evicted(self, earliest: float, latest: float) -> None:
        """Note when the first and the last of some tasks ended that are gone."""
        self.evicted_from = min(self.evicted_from, earliest)
        self.evicted_until = max(self.evicted_until, latest)

    def _get_packed(self, index: int) -> Task:
        begin, tasks = self._read or (0, [])
        if not begin <= index < begin + len(tasks):
            begin = 0
            for block in self._blocks:
                if index < begin + block.number:
                    break
                begin += block.number
            tasks = block.unpack()
            self._read = begin, tasks
        return tasks[index - begin]
