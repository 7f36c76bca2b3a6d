"""Workers and clients that left, whose topics are forgotten after a delay."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import dask.config
from dask.utils import parse_timedelta

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.names import Limit, is_beyond, weigh

if TYPE_CHECKING:
    from distributed import Scheduler

Forget = Callable[[], Coroutine[Any, Any, None]]


class Departed(_compat.AsyncTaskGroup):
    """The scheduler's background tasks. Those for departed peers wait in a queue.

    Upstream forgets the topic of a worker or client an hour after it left
    (``distributed.scheduler.events-cleanup-delay``). One or two tasks of 1.6 kB sleep
    for that long. Here an entry takes about 0.3 kB, and beyond the bound the topic of
    the one that left first is forgotten early.

    Parameters
    ----------
    scheduler : Scheduler
        Its current background tasks move over.
    maxlen : int or None
        Entries that may wait; None is unbounded.
    limit : Limit or None
        Bytes of the entries that may wait; None is unbounded.
    """

    #: Entries ever added: one for a worker, two for a client.
    seen: int
    #: Bytes of long names of those that wait.
    weight: int

    def __init__(
        self, scheduler: Scheduler, maxlen: int | None, limit: Limit | None
    ) -> None:
        super().__init__()
        self.seen = self.weight = 0
        old = _compat.get_background_tasks(scheduler)
        _compat.share_tasks(self, old)
        self.closed = old.closed
        self.maxlen = maxlen
        self.limit = limit
        #: When to call, by the event loop's clock, what, and its long names; the next
        #: one first.
        self.waiting: deque[tuple[float, Forget, list[str]]] = deque()
        #: Entries that have a long name, by its id: both of a client have the same.
        self._uses: Counter[int] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def call_later(
        self, delay: float, afunc: Any, /, *args: Any, **kwargs: Any
    ) -> None:
        """Call a function after a delay in seconds, or earlier to keep the bound."""
        cleanup_delay = dask.config.get("distributed.scheduler.events-cleanup-delay")
        if self.closed or delay != parse_timedelta(cleanup_delay):
            super().call_later(delay, afunc, *args, **kwargs)
            return
        loop = asyncio.get_running_loop()
        self.seen += 1
        names = _long_names(afunc)
        for name in names:
            if not self._uses[id(name)]:
                self.weight += weigh(name)
            self._uses[id(name)] += 1
        forget = partial(afunc, *args, **kwargs)
        self.waiting.append((loop.time() + delay, forget, names))
        self._forget_surplus()
        if self._timer is None:
            self._set_timer(loop)

    def resize(self, maxlen: int | None, limit: Limit | None = None) -> None:
        """Set other bounds, and forget the topics beyond them."""
        self.maxlen = maxlen
        self.limit = limit
        self._forget_surplus()

    def close(self) -> None:
        """Accept no more entries, and discard those that wait."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.waiting.clear()
        self._uses.clear()
        self.weight = 0

    def _forget_surplus(self) -> None:
        while self.waiting and is_beyond(
            len(self.waiting), self.weight, self.maxlen, self.limit
        ):
            self._forget_next()

    def _forget_next(self) -> None:
        _, forget, names = self.waiting.popleft()
        for name in names:
            self._uses[id(name)] -= 1
            if not self._uses[id(name)]:
                del self._uses[id(name)]
                self.weight -= weigh(name)
        self.call_soon(forget)

    def _forget_due(self) -> None:
        loop = asyncio.get_running_loop()
        while self.waiting and self.waiting[0][0] <= loop.time():
            self._forget_next()
        self._timer = None
        self._set_timer(loop)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.waiting:
            self._timer = loop.call_at(self.waiting[0][0], self._forget_due)


def _long_names(afunc: Any) -> list[str]:
    """Return the name of a worker or client, if it is long, from a closure."""
    cells = getattr(afunc, "__closure__", ()) or ()
    return [cell.cell_contents for cell in cells if weigh(cell.cell_contents)]


def install(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Replace the scheduler's background tasks; None is unbounded."""
    _compat.set_background_tasks(scheduler, Departed(scheduler, maxlen, limit))


def departed_of(scheduler: Scheduler) -> Departed:
    """The queue of a lean scheduler."""
    return cast(Departed, _compat.get_background_tasks(scheduler))


def resize(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Set other bounds, and forget the topics beyond them."""
    departed_of(scheduler).resize(maxlen, limit)


def look(scheduler: Scheduler) -> Held:
    """Count the entries that wait."""
    departed = departed_of(scheduler)
    return Held(len(departed.waiting), departed.seen, weight=departed.weight)
