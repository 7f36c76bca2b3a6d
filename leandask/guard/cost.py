"""What a message, and the tasks of a graph, will take: estimated, and learned."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dask.utils import format_bytes

if TYPE_CHECKING:
    from leandask.guard.guard import Guard
    from leandask.guard.present import Start

#: Bytes of RSS that the states of a task and of one of its dependencies take at first,
#: measured with graphs of 60,000 to 110,000 tasks of eight kinds: see docs/guard.md.
TASK_BYTES, DEPENDENCY_BYTES = 600, 130
#: Bytes of RSS for each block that Python has allocated, measured with the same.
BLOCK_BYTES = 115
#: Bytes of objects for a byte of a message's body, which has the keys. One of 42
#: characters is 44 bytes there, and takes 160 with its places in a list and a set.
UNPACKED = 3.5
#: The same for a message that consists of its body alone: it has no graph, but many
#: small messages, such as one for each key that is released. Each of 92 to 127 bytes
#: takes 490 to 530.
UNPACKED_SMALL = 6.0
#: Tasks from which a graph tells what tasks take, if so large a part of them found no
#: free memory; how much the newest one counts, and the least and most that is believed,
#: as a part of what was expected at first.
LARGE, MOSTLY = 20_000, 0.8
#: Bytes from which a message counts, as many clients may send such ones at once; and
#: those of a body that tells what a byte of one takes: of less, all else shows more.
LOOKED_AT, LARGE_BODY = 2**16, 2**20
NEWEST, LEAST, MOST = 0.5, 0.5, 2.0


class TaskCost:
    """Estimates what the states of tasks take, and learns from large graphs.

    Parameters
    ----------
    start : Start
    """

    def __init__(self, start: Start) -> None:
        #: What tasks took, as a part of what was expected at first.
        self.learned = 1.0
        self._start = start

    def __repr__(self) -> str:
        each = format_bytes(int(TASK_BYTES * self.learned))
        return f"<{type(self).__name__}: {each} for a task without dependencies>"

    def expect(self, tasks: dict[Any, Any], dependencies: Any = None) -> float:
        """Return the bytes that tasks will take.

        `dependencies` are those of all tasks, by key, where the tasks do not say.
        """
        if dependencies is None:
            n_dependencies = sum([len(task.dependencies) for task in tasks.values()])
        else:
            n_dependencies = sum(map(len, dependencies.values()))
        nbytes = len(tasks) * TASK_BYTES + n_dependencies * DEPENDENCY_BYTES
        return nbytes * self.learned

    def free(self, rss: int) -> float:
        """Return the bytes of an RSS that are free for new objects.

        What a graph was read from, and the tables of the order of its tasks, are gone.
        """
        start = self._start
        if not start.blocks:  # Python counts none where its objects are malloc's
            return 0.0
        used = start.rss + BLOCK_BYTES * (sys.getallocatedblocks() - start.blocks)
        return max(rss - used, 0.0)

    @contextmanager
    def learning(self, n_tasks: int, expected: float, guard: Guard) -> Iterator[None]:
        """While the states of tasks are made: learn what they take."""
        if n_tasks < LARGE:
            guard.take(expected)
            yield
            return
        before = guard.measure()
        new = expected - self.free(before)
        yield
        if new > MOSTLY * expected:
            part = (guard.measure() - before) / new * self.learned
            part = min(max(part, LEAST), MOST)
            self.learned += NEWEST * (part - self.learned)


class MessageCost:
    """Estimates what a message takes, unpacked, and learns from large ones."""

    def __init__(self) -> None:
        #: Bytes of objects for a byte of a message's body.
        self.factor = UNPACKED
        #: The client whose message is read, the RSS before, the bytes of the message
        #: and those of its body.
        self._reading: tuple[str, int, int, int] | None = None

    def expect(self, frames: tuple[int, ...]) -> float:
        """Return the bytes that a message and the objects of its body will take.

        Of a message the bytes of each frame are known. The first one is its body.
        """
        factor = self.factor if len(frames) > 1 else UNPACKED_SMALL
        return sum(frames) + frames[0] * factor

    def begin(self, client: str, frames: tuple[int, ...], guard: Guard) -> None:
        """Note that a message of a client is read. One without a graph tells nothing.

        Where messages of several clients are read at once, only the newest tells.
        """
        if frames[0] >= LARGE_BODY and len(frames) > 1:
            self._reading = client, guard.measure(), sum(frames), frames[0]

    def forget(self, client: str) -> None:
        """Note that a client's next message comes: it has nothing more of the last."""
        if self._reading is not None and self._reading[0] == client:
            self._reading = None

    def end(self, client: str, guard: Guard) -> None:
        """Learn from the message that was read, if it was one of this client."""
        if self._reading is None or self._reading[0] != client:
            return
        _, before, nbytes, body = self._reading
        self._reading = None
        part = (guard.measure() - before - nbytes) / body / UNPACKED
        part = min(max(part, LEAST), MOST)
        self.factor += NEWEST * (part * UNPACKED - self.factor)
