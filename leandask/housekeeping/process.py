"""Process: makes the scheduler's process hold less free memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import linecache
import logging
import pickle
import sys
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import distributed.scheduler
import distributed.semaphore
import distributed.utils

from leandask.settings import config

if TYPE_CHECKING:
    from leandask.histories.departed import Departed
    from leandask.tasks.collector import Collector

logger = logging.getLogger("leandask")

#: Bytes from which a message gets separate memory. msgpack allocates 256 KiB to pack a
#: message of any size: to map and unmap these each time takes 12 µs.
LARGE_MESSAGE = 512 * 1024
#: Free bytes at the end of the heap that stay. These 256 KiB and what is freed with
#: them have to fit in: to return and ask for them each time takes 7 % of a scheduler's
#: CPU. Twice the threshold above is also what glibc sets by itself.
FREE_AT_END = 2 * LARGE_MESSAGE
#: Parameters of ``mallopt``, from glibc's ``malloc.h``.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3

#: Most bytes of a dict or a set that has just grown: all of them, and for each entry.
TABLE_BYTES, ENTRY_BYTES = 1000, 110
#: Entries of departed workers and clients that are worth a collection of garbage: each
#: leaves about 10 kB in cycles; seconds until one otherwise, as heartbeats leave some.
DEPARTED, GARBAGE_SECONDS = 20, 60.0
#: Allocated blocks, without frozen ones, up to which a collection takes less than 20 ms
#: of the event loop.
SMALL_HEAP = 500_000

#: Seconds between two trims of the heap, and how many times longer than the last trim
#: (0.5 ms for 50 MiB) this has to be.
TRIM_SECONDS, TRIM_TIMES = 60.0, 10_000
#: RSS in bytes up to which the heap is trimmed.
TRIM_RSS = 512 * 2**20

#: Shown warnings that Python remembers for one of upstream's modules, 255 bytes each,
#: and characters of their texts.
SHOWN_WARNINGS, SHOWN_CHARACTERS = 1000, 255_000


class GarbageCollector:
    """Collects what workers, clients and heartbeats leave behind in cycles.

    Upstream's thresholds let it wait until two million objects were made. That is hours
    in an idle scheduler, and most of the growth where workers come and go.
    """

    def __init__(
        self,
        departed: Departed,
        collector: Collector,
        is_quiet: Callable[[], bool],
        interval: float = GARBAGE_SECONDS,
        largest_heap: int = SMALL_HEAP,
    ) -> None:
        self.departed = departed
        self.collector = collector
        self.is_quiet = is_quiet
        self.interval = interval
        self.largest_heap = largest_heap
        self._departed_before = self._departed_at_full = departed.seen
        self._collected_at = time.monotonic()

    def collect_if_due(self) -> None:
        """Collect if enough workers, clients or tasks left, or the interval is over."""
        collector = self.collector
        collector.end_long_pause()
        left = self.departed.seen - self._departed_at_full
        if collector.is_due(self.is_quiet(), left):
            self._note_collection()
            self._departed_at_full = self.departed.seen
            collector.collect_all()
            return
        left = self.departed.seen - self._departed_before
        since = time.monotonic() - self._collected_at
        if left < DEPARTED and since < self.interval:
            return
        if collector.count_blocks(unfrozen=True) <= self.largest_heap:
            self._note_collection()
            gc.collect()

    def _note_collection(self) -> None:
        self._departed_before = self.departed.seen
        self._collected_at = time.monotonic()


class HeapTrimmer:
    """Returns free pages of malloc's heap that lie between pages in use.

    They add up to 1 to 2 MiB after a few minutes of mixed load.
    """

    def __init__(
        self,
        get_rss: Callable[[], int],
        interval: float = TRIM_SECONDS,
        largest_rss: int = TRIM_RSS,
    ) -> None:
        self.get_rss = get_rss
        self.interval = interval
        self.largest_rss = largest_rss
        self._next_at = time.monotonic() + interval

    def trim_if_due(self) -> None:
        """Trim if the interval is over and the process is small."""
        begun = time.monotonic()
        if begun < self._next_at:
            return
        took = 0.0
        if self.get_rss() <= self.largest_rss:
            cpu = time.thread_time()  # on a busy machine the thread has to wait
            trim_heap()
            took = time.thread_time() - cpu
        self._next_at = begun + max(self.interval, TRIM_TIMES * took)


def trim_heap() -> None:
    """Return free memory to the system, where the C library has ``malloc_trim``."""
    with contextlib.suppress(AttributeError, OSError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def warn_of_allocator() -> None:
    """Warn if ``leandask.memory.allocator`` asks for malloc, which is not in use."""
    uses_malloc = sys.getallocatedblocks() == 0  # Python counts no blocks then
    if config.read("memory.allocator") == "malloc" and not uses_malloc:
        logger.warning(
            "leandask.memory.allocator is ignored: only leandask-scheduler can set "
            "it, where PYTHONMALLOC is not set"
        )


def is_mostly_empty(table: Any) -> bool:
    """Whether a dict or a set has more room than it grows by.

    Examples
    --------
    >>> tasks = dict.fromkeys(range(100_000))
    >>> is_mostly_empty(tasks)
    False
    >>> for task in range(90_000):
    ...     del tasks[task]
    >>> is_mostly_empty(tasks)
    True
    """
    return sys.getsizeof(table) > TABLE_BYTES + ENTRY_BYTES * len(table)


def shrink_table(table: Any) -> None:
    """Give a dict or a set the size that its entries need, in place.

    Examples
    --------
    >>> import sys
    >>> tasks = dict.fromkeys(range(100_000))
    >>> for task in range(99_999):
    ...     del tasks[task]
    >>> before = sys.getsizeof(tasks)
    >>> shrink_table(tasks)
    >>> sys.getsizeof(tasks) < before / 1000, tasks
    (True, {99999: None})
    """
    entries = table.copy()
    table.clear()
    table.update(entries)


def reallocate(histories: Collection[Any]) -> None:
    """Copy the entries of histories to memory that is free once the old ones are gone.

    The last entries of a history were allocated when memory was full: each keeps its
    block from going back. All are cleared before the first is filled again, as entries
    of several share blocks. Each history is changed in place; one that can't be pickled
    stays as it is.
    """
    pickled = []
    for history in histories:
        try:
            pickled.append((history, pickle.dumps(list(history), protocol=5)))
        except Exception:  # an event may hold anything
            continue
        history.clear()
    for history, entries in pickled:
        try:
            history.extend(pickle.loads(entries))
        except Exception:  # the others are still to be filled
            logger.exception("The entries of %r are lost", type(history).__name__)


def tune_memory() -> None:
    """Have a process that only runs a scheduler hold less free memory.

    Large messages get separate memory, which goes back when they are freed. glibc would
    otherwise raise its threshold for that up to 32 MiB. All objects that exist now are
    excluded from garbage collection, which makes it shorter.
    """
    with contextlib.suppress(AttributeError, OSError):  # no glibc
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_MESSAGE)
        libc.mallopt(M_TRIM_THRESHOLD, FREE_AT_END)
    forget_folder_listings()
    gc.collect()
    gc.freeze()


def forget_folder_listings() -> None:
    """Forget the listings of folders that the import system keeps: 0.2 MB.

    The next import reads those that it needs again.
    """
    importlib.invalidate_caches()
    sys.path_importer_cache.clear()


def forget_warnings() -> None:
    """Forget which warnings were shown: upstream's texts contain keys and leases."""
    for module in (distributed.scheduler, distributed.semaphore):
        shown = vars(module).get("__warningregistry__", {})
        texts = [key[0] for key in shown if isinstance(key, tuple)]
        characters = sum(len(text) for text in texts if isinstance(text, str))
        if len(shown) > SHOWN_WARNINGS or characters > SHOWN_CHARACTERS:
            shown.clear()


def forget_functions() -> None:
    """Forget the functions that were asked for their arguments, and all they hold.

    Upstream keeps the last 1000 that clients ran on the scheduler. Asking again takes
    20 µs.
    """
    distributed.utils.has_keyword.cache_clear()


def forget_source_lines() -> None:
    """Forget the source files that tracebacks showed: 40 kB and more a file.

    The next traceback reads them again. Lines that are in no file, such as a notebook's
    cells, stay.
    """
    cache = linecache.cache
    for name, entry in [*cache.items()]:  # other threads add to it
        if len(entry) == 4 and entry[1]:
            cache.pop(name, None)
