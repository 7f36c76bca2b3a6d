"""Collector: garbage collection that does not visit the tasks again and again."""

from __future__ import annotations

import gc
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler

#: Tasks from which a graph, or what came in since the last freeze, counts as large. A
#: collection that visits as many takes about 20 ms.
LARGE = 10_000
#: Longest time in seconds that automatic collections are off while a graph is read: it
#: may wait for a disk or a network.
LONGEST_OFF = 300.0
#: How many times longer than the last full collection the time until the next one is.
#: It is due for what workers and clients leave; what tasks leave has a rule of its own.
INTERVAL_TIMES = 1000
#: Bytes of memory per allocated block, where Python does not count the blocks.
BLOCK_BYTES = 150


class PauseMeter:
    """Measures the collections of garbage in this process: 0.7 µs for each."""

    #: Longest collection, and all of them, in seconds.
    longest: float
    seconds: float

    def __init__(self) -> None:
        self.longest = self.seconds = 0.0
        self._begun = 0.0

    def note(self, phase: str, info: dict[str, int]) -> None:
        """Note a collection, as one of ``gc.callbacks``."""
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            took = time.perf_counter() - self._begun
            self.seconds += took
            self.longest = max(self.longest, took)


class Collector:
    """Keeps collections of garbage short in a process that only runs a scheduler.

    A full collection visits every object: 0.5 to 0.9 s at 300,000 tasks, and Python
    does several of them while so many tasks come in. So it is off meanwhile, and the
    tasks are then frozen: no collection visits them. Frozen objects are freed as usual
    when nothing refers to them; a full collection for the garbage among them is done
    once half of the tasks are gone, or at a quiet moment.

    In a process of somebody else's, such as a notebook, it only measures: other objects
    would be frozen too.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    large : int, optional
        Tasks from which a graph is large.
    """

    #: Whether the process only runs a scheduler.
    is_own: bool
    meter: PauseMeter

    def __init__(self, scheduler: Scheduler, large: int = LARGE) -> None:
        self.is_own = _compat.is_own_process()
        self.large = large
        self.meter = PauseMeter()
        self._tasks = scheduler.tasks
        self._get_rss: Callable[[], int] = scheduler.monitor.get_process_memory
        #: Tasks that came in since the last full collection: frozen ones, and others.
        self.frozen = self.unfrozen = 0
        #: Whether objects are frozen, beyond those of the start; how many blocks.
        self._is_frozen = False
        self._frozen_blocks = 0
        #: Whether a graph was frozen that no large number of tasks came from.
        self._is_graph_frozen = False
        #: Graphs that come in while automatic collections are off, and since when.
        self._n_off = 0
        self._off_since = 0.0
        self._full_at = time.monotonic()
        self._full_took = 0.0
        gc.callbacks.append(self.meter.note)
        #: Ends the measuring.
        self.close = weakref.finalize(scheduler, gc.callbacks.remove, self.meter.note)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.frozen} tasks frozen, {self.unfrozen} not>"
        )

    @contextmanager
    def off(self) -> Iterator[None]:
        """Without automatic collections, if the process only runs a scheduler."""
        # Who has turned them off before wants it so.
        if not self.is_own or not (self._n_off or gc.isenabled()):
            yield
            return
        if not self._n_off:
            self._off_since = time.monotonic()
        gc.disable()
        self._n_off += 1
        try:
            yield
        finally:
            self._n_off -= 1
            if not self._n_off:
                gc.enable()

    def end_long_pause(self) -> None:
        """Turn automatic collections on if they are off for too long."""
        if self._n_off and time.monotonic() - self._off_since > LONGEST_OFF:
            gc.enable()

    @contextmanager
    def taking_in(self, n_tasks: int, *, is_ordered: bool) -> Iterator[None]:
        """While the tasks of a graph are made, without a pause of the event loop.

        `is_ordered` says whether their order was found here: that leaves its tables,
        650 bytes a task, in cycles. The memory has to be free for the tasks.
        """
        is_large = n_tasks >= self.large
        before = len(self._tasks)
        if is_large and is_ordered and self.is_own:
            gc.collect()
        try:
            with self.off() if is_large else nullcontext():
                yield
            if is_large:
                self._is_graph_frozen = False
        finally:
            self.unfrozen += max(0, len(self._tasks) - before)
            if self.unfrozen >= self.large:
                if self.is_own and not is_large:
                    gc.collect()
                self._freeze_tasks()

    def freeze_graph(self) -> None:
        """Have no collection visit a graph that was read. Any thread may call it."""
        self._is_graph_frozen = True
        self._freeze()

    def _freeze(self) -> None:
        if self.is_own:
            self._is_frozen = True
            gc.freeze()

    def _freeze_tasks(self) -> None:
        if self.is_own:
            self._freeze()
            self.frozen += self.unfrozen
            self._frozen_blocks = self.count_blocks()
        self.unfrozen = 0

    def is_due(self, is_quiet: bool, departed: int) -> bool:
        """Whether to collect garbage among what is frozen.

        `departed` are the workers and clients that left since the last time: each is
        10 kB in cycles. A graph leaves more, if it has failed or was slow to read for
        other reasons than its number of tasks: its objects may be in cycles too.
        """
        if not self._is_frozen or self._n_off:  # a graph that is read is frozen
            return False
        if self.frozen >= 2 * len(self._tasks):
            return True
        interval = INTERVAL_TIMES * self._full_took
        since = time.monotonic() - self._full_at
        left = departed > 0 or self._is_graph_frozen
        return is_quiet and left and since >= interval

    def collect_all(self) -> None:
        """Collect garbage among all objects, and freeze the tasks that are left."""
        begun = time.monotonic()
        if self._is_frozen:
            gc.unfreeze()
        gc.collect()
        self._full_at = time.monotonic()
        self._full_took = self._full_at - begun
        self.frozen, self.unfrozen = 0, len(self._tasks)
        self._is_frozen, self._frozen_blocks = False, 0
        self._is_graph_frozen = False
        if self.unfrozen >= self.large:
            self._freeze_tasks()

    def count_blocks(self, unfrozen: bool = False) -> int:
        """Count the allocated blocks, all or those that are not frozen."""
        # Python counts none where its objects are malloc's.
        blocks = sys.getallocatedblocks() or self._get_rss() // BLOCK_BYTES
        self._frozen_blocks = min(self._frozen_blocks, blocks)
        return blocks - self._frozen_blocks if unfrozen else blocks
