"""What a scheduler measures of itself: samples of its process, stacks of its loop."""

from __future__ import annotations

import sys
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from math import nan
from typing import TYPE_CHECKING, Any

from distributed.system_monitor import SystemMonitor

from leandask import _compat
from leandask.settings.rules import smaller

if TYPE_CHECKING:
    from distributed import Scheduler


class Samples:
    """The last numbers of a series, at 8 bytes each. A deque takes 32 bytes each.

    It also makes no objects: one object each half second would keep the memory around
    it from going back to the system.

    Parameters
    ----------
    items : iterable of float or None
        What it holds at first.
    maxlen : int
        Numbers kept; at least 1.
    """

    #: Numbers kept.
    maxlen: int

    def __init__(self, items: Iterable[float | None], maxlen: int) -> None:
        self.maxlen = maxlen
        self._values = array("d")
        #: Index of the oldest number, once the array is full.
        self._first = 0
        self._is_whole = False
        for item in items:
            self.append(item)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.maxlen}>"

    def __reduce__(self) -> Any:
        return deque, (list(self), self.maxlen)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float | None]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> float | None:
        length = len(self._values)
        if not -length <= index < length:
            raise IndexError(f"{self!r} has no index {index}")
        value = self._values[(self._first + index % length) % length]
        if value != value:
            return None
        return int(value) if self._is_whole else value

    def append(self, value: float | None) -> None:
        """Add the newest number. It is None for GPUs that do not report their use."""
        if value is None:
            value = nan
        else:
            self._is_whole = isinstance(value, int)
        if len(self._values) < self.maxlen:
            self._values.append(value)
        else:
            self._values[self._first] = value
            self._first = (self._first + 1) % self.maxlen


class Quantities(dict[str, Samples]):
    """The quantities of a system monitor by name.

    Parameters
    ----------
    quantities : mapping of str to sequences
    maxlen : int
        Numbers kept of each.
    own : int or None
        What the monitor would keep by itself.
    """

    def __init__(
        self,
        quantities: Mapping[str, Iterable[float | None]],
        maxlen: int,
        own: int | None,
    ) -> None:
        super().__init__()
        self.maxlen = maxlen
        self.own = own
        for name, values in quantities.items():
            self[name] = values

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def __setitem__(self, name: str, values: Any) -> None:
        super().__setitem__(name, Samples(values, self.maxlen))


def resize_samples(monitor: SystemMonitor, samples: int | None) -> None:
    """Bound the samples of each quantity of a system monitor, at first or again.

    None keeps as many as the monitor would keep by itself.
    """
    before: Any = monitor.quantities
    is_installed = isinstance(before, Quantities)
    if samples is None and not is_installed:
        return
    own = before.own if is_installed else monitor.maxlen
    maxlen = smaller(own, samples)
    if maxlen is None:
        maxlen = sys.maxsize
    quantities: Any = Quantities(before, max(maxlen, 1), own)
    monitor.quantities = quantities
    monitor.maxlen = maxlen


def evict_stacks(scheduler: Scheduler, profile: int | None) -> None:
    """Evict the oldest stacks of the event loop beyond a bound; None keeps all.

    Upstream's profiling thread adds one each ``distributed.worker.profile.cycle``,
    except on CPython 3.11, up to ``distributed.admin.low-level-log-length``. The deque
    is shortened in place, as the thread, open pages and all servers on the same event
    loop share it.
    """
    stacks = _compat.get_profile(scheduler)
    if profile is not None:
        while len(stacks) > profile:
            stacks.popleft()
