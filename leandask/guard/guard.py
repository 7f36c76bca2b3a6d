"""Guard: knows how much room is left below the memory limit, and warns."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypedDict

from dask.utils import format_bytes
from tornado.ioloop import PeriodicCallback

from leandask.guard.holders import describe, look
from leandask.guard.present import Start
from leandask.guard.refusals import Refusals
from leandask.records.schema import MEMORY_LIMIT_SET, MEMORY_PRESSURE
from leandask.settings import config
from leandask.settings.memorylimit import MemoryLimit, get_limit

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.records.stream import RecordStream

logger = logging.getLogger("leandask")

#: Seconds between two looks at the RSS, which take 30 µs each.
INTERVAL = 0.5
#: Seconds until a level is warned of again, and percent of a rise that is told before.
WARN_SECONDS, RISE = 600.0, 10


class GuardReport(TypedDict):
    """What is done at the memory limit, and what was."""

    #: Parts of the limit.
    warn: float
    refuse: float
    #: "warn" or "refuse" while the RSS is above that part of the limit, else empty.
    level: str
    #: Graphs that were refused.
    refused: int


class LimitReport(GuardReport):
    """The memory limit besides."""

    #: Bytes; None where there is no guard. What sets it.
    limit: int | None
    source: str


class Guard:
    """Compares the RSS with the memory limit.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
    relieve : callable
        Gives back all memory that can be; a coroutine function. It is called above the
        level `warn`, and decides itself how often it does something.
    """

    limit: MemoryLimit | None
    warn: float
    refuse: float
    #: Bytes until graphs are refused; below 0 if they are.
    room: float
    refusals: Refusals
    start: Start

    def __init__(
        self,
        scheduler: Scheduler,
        stream: RecordStream,
        relieve: Callable[[], Awaitable[None]],
    ) -> None:
        self._scheduler = scheduler
        self._stream = stream
        self._relieve = relieve
        self._get_rss: Callable[[], int] = scheduler.monitor.get_process_memory
        #: Bytes, as they were measured last.
        self._rss = 0
        #: When it had no tasks last; what has come in since is the tasks'.
        self.start = Start.of(scheduler)
        #: Graphs that come in.
        self.n_coming = 0
        self.refusals = Refusals(stream)
        #: RSS at which a level was warned of, and when.
        self._warned: dict[str, tuple[int, float]] = {}
        self._warning: asyncio.Task[None] | None = None
        self._set(
            *(config.read(f"memory.{key}") for key in ("limit", "warn", "refuse"))
        )
        self.callback = PeriodicCallback(self.look, INTERVAL * 1000)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.describe_limit()}>"

    def _set(self, limit: Any, warn: float, refuse: float) -> None:
        self._setting = limit
        self.limit, self.warn, self.refuse = get_limit(limit), warn, refuse
        self.measure()

    def set(self, settings: dict[str, Any]) -> LimitReport:
        """Set the limit or its parts while the scheduler runs, and record it.

        Parameters
        ----------
        settings : dict
            Any of ``limit``, ``warn`` and ``refuse``, as in the configuration.

        Raises
        ------
        TypeError, ValueError
            If one breaks its rule, or has another name. Nothing is changed then.
        """
        now = {"limit": self._setting, "warn": self.warn, "refuse": self.refuse}
        for name, value in settings.items():
            if name not in now:
                raise ValueError(
                    f"the memory's settings are limit, warn and refuse; got {name!r}"
                )
            now[name] = config.read(f"memory.{name}", value)
        self._set(**now)
        self._warned.clear()
        message = f"memory limit set: {self.describe_limit()}"
        report: LimitReport = {
            "limit": None if self.limit is None else self.limit.nbytes,
            "source": "" if self.limit is None else self.limit.source,
            **self.report(),
        }
        self._stream.life(MEMORY_LIMIT_SET, message, dict(report), force=False)
        return report

    @property
    def limit_bytes(self) -> float:
        """Bytes of the limit; infinite if there is none."""
        return float("inf") if self.limit is None else self.limit.nbytes

    def describe_limit(self) -> str:
        """Say what the limit is, and what sets it."""
        if self.limit is None:
            return "no memory limit: nothing is refused"
        return (
            f"{format_bytes(self.limit.nbytes)} ({self.limit.source}); "
            f"a warning at {self.warn:.0%}, graphs are refused at {self.refuse:.0%}"
        )

    def report(self) -> GuardReport:
        """Return what is done at the limit, and what was."""
        rss = self.measure()
        return {
            "warn": self.warn,
            "refuse": self.refuse,
            "level": self._level(rss),
            "refused": self.refusals.count,
        }

    def measure(self) -> int:
        """Measure the RSS in bytes, and note the room."""
        with contextlib.suppress(OSError):  # such as too many open files
            self._rss = self._get_rss()
        rss, limit = self._rss, self.limit
        self.room = float("inf") if limit is None else self.refuse * limit.nbytes - rss
        return rss

    def take(self, nbytes: float) -> None:
        """Note that room is taken, until the RSS is measured again."""
        self.room -= nbytes

    def look(self) -> None:
        """Measure the RSS; relieve the memory and warn if a level is reached."""
        rss = self.measure()
        if not self._scheduler.tasks and not self.n_coming:
            self.start = Start.of(self._scheduler)
        level = self._level(rss)
        if level and (self._warning is None or self._warning.done()):
            self._warning = asyncio.ensure_future(self._act(level, rss))

    def _level(self, rss: int) -> str:
        if rss >= self.refuse * self.limit_bytes:
            return "refuse"
        return "warn" if rss >= self.warn * self.limit_bytes else ""

    async def _act(self, level: str, rss: int) -> None:
        try:
            # It may have been lifted since.
            if self.limit is not None and self._is_due(level, rss):
                self._record(self.limit, level, rss)
            await self._relieve()
            self.measure()
        except Exception:
            logger.warning("The guard of the memory failed", exc_info=True)

    def _is_due(self, level: str, rss: int) -> bool:
        at, when = self._warned.get(level, (0, -float("inf")))
        since = time.monotonic() - when
        if since < WARN_SECONDS and rss * 100 < at * (100 + RISE):
            return False
        self._warned[level] = rss, time.monotonic()
        return True

    def _record(self, limit: MemoryLimit, level: str, rss: int) -> None:
        held = look(self._scheduler, self.start)
        largest = describe(held.holders)
        message = (
            f"memory pressure: RSS is {format_bytes(rss)} of "
            f"{format_bytes(limit.nbytes)}; the largest holders are "
            f"{'; '.join(largest[:3])}"
        )
        fields = {
            "level": level,
            "rss": rss,
            "limit": limit.nbytes,
            "limit_source": limit.source,
            "holders": largest,
            "task_states": [f"{state}: {n:,}" for state, n in held.states.items()],
            "wanted": [f"{client}: {n:,}" for client, n in held.wanted.items()],
            "records_queued": len(self._stream.queue),
        }
        # An event log writes what waits to the disk, as it is a warning.
        self._stream.life(
            MEMORY_PRESSURE, message, fields, logging.WARNING, force=False
        )
