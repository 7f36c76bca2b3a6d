"""Answers: what a scheduler tells of the past, out of its own event log."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypedDict

from leandask.reading.backward import BackwardScan
from leandask.reading.filter import Filter
from leandask.settings.rules import as_count

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.eventlog.eventlog import EventLog
    from leandask.records.stream import RecordStream

#: Bounds of an answer: its size in bytes, and the seconds that it is looked for.
ANSWER_BYTES, ANSWER_SECONDS = 8 * 2**20, 10.0
#: Seconds that the thread sleeps after each slice, so that the event loop gets the
#: interpreter, and seconds that it waits for records on their way to the log.
PAUSE, CATCH_UP_SECONDS = 0.0002, 2.0
#: Handlers of upstream that tell of the same: where one is blocked, this is too.
UPSTREAM_HANDLERS = ("events", "get_story")


class Answer(TypedDict):
    """What a scheduler answers."""

    #: Lines of the log, the newest first.
    lines: bytes
    #: Why older records may be missing: "limit", "bytes", "seconds"; else None.
    truncated: str | None
    #: Time of the oldest record looked at; None if there is none.
    reached: str | None
    #: Lines that can't be read, and records dropped since the scheduler started.
    broken: int
    dropped: int


class Answers:
    """Answers questions of clients, one after the other, in a thread.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
    event_log : EventLog or None
        The only file that is read, with those that were rotated out of it.
    """

    def __init__(
        self, scheduler: Scheduler, stream: RecordStream, event_log: EventLog | None
    ) -> None:
        self.scheduler = scheduler
        self.stream = stream
        self.event_log = event_log
        self._one = asyncio.Lock()

    async def find(self, limit: int, filters: dict[str, Any]) -> Answer:
        """Find the newest records that a client asks for.

        Parameters
        ----------
        limit : int
            Records at most.
        filters : dict
            Parameters of :class:`leandask.reading.filter.Filter`.

        Returns
        -------
        Answer

        Raises
        ------
        TypeError, ValueError
            If a parameter is no such value, there is no event log, or a handler that
            tells of the same is blocked.
        """
        blocked = [
            name
            for name in UPSTREAM_HANDLERS
            if name in self.scheduler.blocked_handlers
        ]
        if blocked:
            raise ValueError(
                f"distributed.scheduler.blocked-handlers must not have {blocked[0]!r} "
                "for leandask_history to tell of the same"
            )
        if self.event_log is None:
            raise ValueError(
                "leandask.event-log.path must be a path for get_history; got None"
            )
        as_count("limit", limit, 1)
        # Lists are tuples by the time they are here, and a tuple would be one key.
        given: dict[str, Any] = {
            n: [*v] if isinstance(v, tuple) else v for n, v in filters.items()
        }
        wanted = Filter(**given)
        async with self._one:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self._read, wanted, limit)

    def _read(self, wanted: Filter, limit: int) -> Answer:
        assert self.event_log is not None
        deadline = time.monotonic() + ANSWER_SECONDS
        self.stream.catch_up(CATCH_UP_SECONDS)
        self.event_log.flush()
        scan = BackwardScan(self.event_log.file.path, wanted, limit)
        lines, truncated = bytearray(), None
        try:
            for found in scan.slices():
                for line in found:
                    lines += line + b"\n"
                if len(lines) > ANSWER_BYTES or time.monotonic() > deadline:
                    truncated = "bytes" if len(lines) > ANSWER_BYTES else "seconds"
                    break
                time.sleep(PAUSE)
        except FileNotFoundError:  # removed by someone: there is no history
            pass
        if scan.has_more:
            truncated = "limit"
        return Answer(
            lines=bytes(lines),
            truncated=truncated,
            reached=scan.reached,
            broken=scan.broken,
            dropped=self.stream.queue.n_dropped,
        )
