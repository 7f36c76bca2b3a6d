"""Answers: a scheduler's past, read from its own event log."""

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

#: Upstream's handlers that show the same. If one is blocked, questions are refused.
UPSTREAM_HANDLERS = ("events", "get_story")


class Answer(TypedDict):
    """The answer to one question."""

    #: Lines of the log, the newest first.
    lines: bytes
    #: Why older records may be missing: "limit", "bytes" or "seconds"; else None.
    truncated: str | None
    #: Time of the oldest record that was read; None if none was.
    reached: str | None
    #: Lines that can't be read, and records dropped since the scheduler started.
    broken: int
    dropped: int


class Answers:
    """Answers the questions of clients in a thread, one after the other.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
    event_log : EventLog or None
        Only this file is read, with the files rotated out of it.
    max_bytes : int, optional
        Size above which an answer is truncated.
    max_seconds : float, optional
        Time after which an answer is truncated.
    catch_up_seconds : float, optional
        Time that the thread waits until all records are in the log.
    pause : float, optional
        Seconds that the thread sleeps after each slice of lines, so that the event loop
        gets the interpreter.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        stream: RecordStream,
        event_log: EventLog | None,
        max_bytes: int = 8 * 2**20,
        max_seconds: float = 10.0,
        catch_up_seconds: float = 2.0,
        pause: float = 0.0002,
    ) -> None:
        self.scheduler = scheduler
        self.stream = stream
        self.event_log = event_log
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.catch_up_seconds = catch_up_seconds
        self.pause = pause
        self._turn = asyncio.Lock()

    async def find(self, limit: int, filters: dict[str, Any]) -> Answer:
        """Return the newest records that pass the filters, `limit` at most.

        Raises
        ------
        TypeError, ValueError
            If a parameter is not valid, there is no event log, or a handler that shows
            the same is blocked.
        """
        blocked = [
            name
            for name in UPSTREAM_HANDLERS
            if name in self.scheduler.blocked_handlers
        ]
        if blocked:
            raise ValueError(
                f"distributed.scheduler.blocked-handlers must not have {blocked[0]!r} "
                "for leandask_history to show the same"
            )
        if self.event_log is None:
            raise ValueError(
                "leandask.event-log.path must be a path for get_history; got None"
            )
        as_count("limit", limit, 1)
        # Comms turn lists into tuples, and a tuple would be a single key.
        given: dict[str, Any] = {
            n: [*v] if isinstance(v, tuple) else v for n, v in filters.items()
        }
        wanted = Filter(**given)
        async with self._turn:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                None, self._read, self.event_log, wanted, limit
            )

    def _read(self, event_log: EventLog, wanted: Filter, limit: int) -> Answer:
        deadline = time.monotonic() + self.max_seconds
        self.stream.catch_up(self.catch_up_seconds)
        event_log.flush()
        scan = BackwardScan(event_log.file.path, wanted, limit)
        lines, truncated = bytearray(), None
        try:
            for found in scan.slices():
                for line in found:
                    lines += line + b"\n"
                if len(lines) > self.max_bytes or time.monotonic() > deadline:
                    truncated = "bytes" if len(lines) > self.max_bytes else "seconds"
                    break
                time.sleep(self.pause)
        except FileNotFoundError:  # someone removed the log
            pass
        if scan.has_more:
            truncated = "bytes" if scan.is_full else "limit"
        return Answer(
            lines=bytes(lines),
            truncated=truncated,
            reached=scan.reached,
            broken=scan.broken,
            dropped=self.stream.queue.n_dropped,
        )
