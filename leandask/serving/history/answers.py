"""Answers: a scheduler's past, read from its own event log."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distributed.comm import CommClosedError

from leandask.serving.history.question import Question
from leandask.serving.history.search import Answer, Search

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.eventlog.eventlog import EventLog
    from leandask.records.stream import RecordStream

#: Upstream's handlers that show the same. If one is blocked, questions are refused.
UPSTREAM_HANDLERS = ("events", "get_story")
#: Questions of one client, and of all, that may wait, and bytes of all their filters.
MAX_OF_CLIENT, MAX_OF_ALL, MAX_BYTES = 100, 1000, 16 * 2**20


class Asked:
    """A question, who asked it, and where the answer goes."""

    def __init__(
        self, question: Question, client: str, is_gone: Callable[[], bool]
    ) -> None:
        self.question = question
        self.client = client
        self.is_gone = is_gone
        #: Seconds that it waited for the last records to reach the log.
        self.waited = 0.0
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class Turns:
    """Questions that wait. The clients take turns, so that none waits for another's."""

    def __init__(self) -> None:
        self._of_client: dict[str, deque[Asked]] = {}

    def __bool__(self) -> bool:
        return bool(self._of_client)

    def put(self, asked: Asked) -> None:
        """Add the last question of a client."""
        self._of_client.setdefault(asked.client, deque()).append(asked)

    def pop(self) -> Asked:
        """Remove and return the first question of the client whose turn it is."""
        client = next(iter(self._of_client))
        waiting = self._of_client.pop(client)
        asked = waiting.popleft()
        if waiting:
            self._of_client[client] = waiting  # it is the last one now
        return asked


class Answers:
    """Answers the questions of clients, in a thread and in small steps.

    Each question is tried at once for a short while. One that takes longer goes on if
    no other one does; else it waits, and begins again later. So there are two searches
    at most, and a short question waits for short ones only.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
    event_log : EventLog or None
        Only this file is read, with the files rotated out of it.
    max_bytes : int, optional
        Size above which an answer is truncated.
    max_seconds : float, optional
        Time after which a search ends, and its answer is truncated.
    catch_up_seconds : float, optional
        Longest wait until all records are in the log.
    try_seconds, step_seconds : float, optional
        How long a question is tried, and the steps in which a longer search goes on.
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
        try_seconds: float = 0.2,
        step_seconds: float = 0.1,
        pause: float = 0.0002,
    ) -> None:
        self.scheduler = scheduler
        self.stream = stream
        self.event_log = event_log
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.catch_up_seconds = catch_up_seconds
        self.try_seconds = try_seconds
        self.step_seconds = step_seconds
        self.pause = pause
        self._new, self._long = Turns(), Turns()
        self._current: tuple[Asked, Search] | None = None
        self._open: dict[Asked, None] = {}
        self._work: asyncio.Task[None] | None = None

    async def find(
        self,
        limit: int,
        filters: dict[str, Any],
        schedulers: str = "own",
        client: str = "",
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Return the newest records that pass the filters, `limit` at most.

        `client` is who asks; `is_gone` says whether nobody waits for the answer.

        Raises
        ------
        TypeError, ValueError
            If a parameter is not valid, there is no event log, a handler that shows
            the same is blocked, or too many questions wait.
        CommClosedError
            If the client is gone, or the scheduler closes.
        """
        for name in UPSTREAM_HANDLERS:
            if name in self.scheduler.blocked_handlers:
                raise ValueError(
                    f"distributed.scheduler.blocked-handlers must not have {name!r} "
                    "for leandask_history to show the same"
                )
        if self.event_log is None:
            raise ValueError(
                "leandask.event-log.path must be a path for get_history; got None"
            )
        question = Question(limit, filters, schedulers)
        asked = Asked(question, client, is_gone)
        self._admit(asked)
        try:
            begun = time.monotonic()
            await self.stream.acatch_up(self.catch_up_seconds)
            asked.waited = time.monotonic() - begun
            self._new.put(asked)
            if self._work is None or self._work.done():
                self._work = asyncio.create_task(self._answer_all(self.event_log))
            return await asked.answer
        finally:
            del self._open[asked]

    async def close(self) -> None:
        """Answer no more: those who wait get an error."""
        for asked in self._open:
            if not asked.answer.done():
                asked.answer.set_exception(CommClosedError("The scheduler closes"))
        if self._work is not None:
            await self._work

    def _admit(self, asked: Asked) -> None:
        own = len([each for each in self._open if each.client == asked.client])
        for whose, count, most in (
            ("one client", own, MAX_OF_CLIENT),
            ("all clients", len(self._open), MAX_OF_ALL),
        ):
            if count >= most:
                raise ValueError(
                    f"The questions of {whose} must be at most {most} at once; "
                    f"got {count + 1}"
                )
        nbytes = sum(each.question.nbytes for each in (asked, *self._open))
        if nbytes > MAX_BYTES:
            raise ValueError(
                f"The filters of all clients must be at most {MAX_BYTES} bytes at "
                f"once; got {nbytes}"
            )
        self._open[asked] = None

    async def _answer_all(self, event_log: EventLog) -> None:
        while self._new or self._long or self._current:
            if self._new:
                asked = self._new.pop()
                search = self._search(asked, event_log)
                if await self._step(asked, search, self.try_seconds):
                    pass
                elif self._current is None:
                    self._current = asked, search
                else:
                    search.close()
                    self._long.put(asked)
            elif self._current is None:
                asked = self._long.pop()
                self._current = asked, self._search(asked, event_log)
            if self._current is not None:
                if await self._step(*self._current, self.step_seconds):
                    self._current = None

    def _search(self, asked: Asked, event_log: EventLog) -> Search:
        deadline = time.monotonic() + self.max_seconds - asked.waited
        return Search(asked.question, event_log, self.max_bytes, deadline)

    async def _step(self, asked: Asked, search: Search, seconds: float) -> bool:
        """Go on with a search; return whether it has ended."""
        answer = asked.answer
        if not answer.done() and asked.is_gone():
            answer.set_exception(CommClosedError("The client is gone"))
        if answer.done():
            search.close()
            return True
        loop = asyncio.get_running_loop()
        try:
            scan = await loop.run_in_executor(None, search.run, seconds, self.pause)
        except Exception as e:
            search.close()
            if not answer.done():
                answer.set_exception(e)
            return True
        if scan is not None and not answer.done():
            answer.set_result(search.answer(scan, self.stream.queue.n_dropped))
        return scan is not None
