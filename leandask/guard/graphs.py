"""GraphGuard: takes in the graphs that fit below the memory limit, and no others."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Collection
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from leandask import _compat
from leandask.guard.arrival import Arrival
from leandask.guard.cost import LOOKED_AT, MessageCost, TaskCost
from leandask.guard.graphintake import GraphIntake, IncomingGraphs, Refused
from leandask.guard.guard import Guard
from leandask.guard.holders import describe, look
from leandask.guard.refusals import Answer, Refuse
from leandask.guard.unpickling import load
from leandask.records.text import name_of

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Scheduler

    from leandask.housekeeping.giveback import GiveBack
    from leandask.records.stream import RecordStream

logger = logging.getLogger("leandask")

#: Bytes of a pickled graph up to which it is read again if others took the room.
AGAIN = 2**20
#: Times that a graph is read: each time, other graphs took the room meanwhile.
MOST_TRIES = 10
#: Holders of memory that an error names, and seconds until they are looked for again:
#: it takes 10 ms, and a client may send hundreds of graphs each second.
NAMED, LOOK_SECONDS = 3, 1.0

#: The graph that this context takes in. Timers of that time keep the context longer.
_context: ContextVar[ref[GraphIntake] | None] = ContextVar("_context", default=None)


def _current() -> GraphIntake | None:
    """Return the graph that this context takes in."""
    graph = _context.get()
    return None if graph is None else graph()


def install(scheduler: Scheduler, stream: RecordStream, give_back: GiveBack) -> Guard:
    """Keep a scheduler below its memory limit; return what knows it."""
    guard = Guard(scheduler, stream, give_back.relieve)
    GraphGuard(scheduler, guard, give_back.tidy)
    # Upstream would show it with a traceback.
    logging.getLogger("distributed.scheduler").addFilter(_is_unexpected)
    logger.info("Memory: %s", guard.describe_limit())
    scheduler.handlers["leandask_set_memory"] = guard.set
    # Upstream starts and stops it with its own callbacks.
    scheduler.periodic_callbacks["leandask-guard"] = guard.callback
    if scheduler.listeners:  # it has started already
        guard.callback.start()
    return guard


class GraphGuard:
    """Looks at each graph while it comes in, and refuses it once it does not fit.

    It looks before a graph is read; all the time while it is unpickled, made into tasks
    and ordered; and before the states of its tasks are made, which is done at once. One
    that others left no room for is judged again once these are taken in, or dropped.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    guard : Guard
    tidy : callable
        Frees what a refused graph left; a coroutine function.
    """

    #: What tasks take, and messages.
    cost: TaskCost
    message_cost: MessageCost

    def __init__(
        self,
        scheduler: Scheduler,
        guard: Guard,
        tidy: Callable[[], Awaitable[None]],
    ) -> None:
        self._scheduler = scheduler
        self._guard = guard
        self._tidy = tidy
        self.cost = TaskCost(guard.start)
        self.message_cost = MessageCost()
        self._incoming = IncomingGraphs(guard)
        self._looked_at, self._holders = -float("inf"), ""
        self._update_graph = scheduler.stream_handlers["update-graph"]
        self._make_tasks = _compat.get_task_maker(scheduler)
        scheduler.stream_handlers["update-graph"] = self.update_graph
        self._retry = scheduler.handlers["retry"]
        scheduler.handlers["retry"] = self.retry
        _compat.set_task_maker(scheduler, self.make_tasks)
        _compat.go_around_reading(_run_step, _unpickle)
        comms: Any = scheduler.client_comms
        comms.on_enter.append(self._look_at_client)
        for connected in comms:
            self._look_at_client(connected)

    def __repr__(self) -> str:
        n_refused = self._guard.refusals.count
        return f"<{type(self).__name__}: {n_refused} refused, {self.cost}>"

    async def update_graph(self, **message: Any) -> None:
        """Take in a graph, or refuse it: the handler of the message that has it."""
        self._guard.n_coming += 1
        try:
            await self._take_or_refuse(message)
        finally:
            self._guard.n_coming -= 1

    async def _take_or_refuse(self, message: dict[str, Any]) -> None:
        if self._guard.limit is None:
            return await self._begin(message)
        client, keys = message["client"], message["keys"]
        self.message_cost.end(client, self._guard)
        graph = GraphIntake(len(keys), self._guard, self.cost)
        again = None
        if _compat.count_graph_bytes(message) <= AGAIN:
            again = _compat.copy_graph(message)
        # As it was up to half a second ago.
        has_room = self._guard.room > 0 or await self._incoming.wait_for_room(0)
        tries = 0
        while has_room:
            if await self._take_in(graph, message):
                return
            tries += 1
            if again is None or not graph.is_victim or tries == MOST_TRIES:
                break
            has_room = await self._incoming.wait_for_room(graph.nbytes)
            message = _compat.copy_graph(again)
        # Nothing holds it while its keys are answered, as slowly as the client reads.
        for each in (message, again or {}):
            _compat.move_frames(each)
            each.clear()
        await self._refuse(client, [*keys], graph)

    async def _take_in(self, graph: GraphIntake, message: dict[str, Any]) -> bool:
        """Take in a graph; return whether it fits."""
        self._incoming.add(graph)
        try:
            if await self._read(graph, message):
                return True
            if graph.has_left_much:
                await self._tidy()
            return False
        finally:
            self._incoming.remove(graph)

    async def _read(self, graph: GraphIntake, message: dict[str, Any]) -> bool:
        watching = asyncio.ensure_future(graph.watch())
        try:
            _context.set(ref(graph))
            _compat.mark_graph(message)
            await self._begin(message)
        except Refused as e:
            # It holds the frames that hold the graph, and one of them holds it.
            traceback.clear_frames(e.__traceback__)
            e.__traceback__ = None
            return False
        finally:
            watching.cancel()
        return True

    def _begin(self, message: dict[str, Any]) -> Any:
        """Begin to take in a graph. Upstream drops its parts once it has read them."""
        taking = self._update_graph(**message)
        message.clear()
        return taking

    def retry(self, keys: Collection[Key], client: str | None = None) -> Any:
        """Retry tasks: the handler of ``Client.retry``, which says more if it fails."""
        unknown = [key for key in keys if key not in self._scheduler.tasks]
        if unknown and self._guard.refusals.count:
            raise KeyError(
                f"the scheduler has no task {name_of(unknown[0])!r}: if its graph was "
                f"refused, release the future and send the graph again"
            )
        return self._retry(keys=keys, client=client)

    def make_tasks(self, *args: Any, **kwargs: Any) -> Any:
        """Make the states of the tasks of a graph, if there is room."""
        graph = _current()
        if graph is None:  # not from a client
            return self._make_tasks(*args, **kwargs)
        tasks = kwargs["dsk"]
        expected = graph.check_tasks(tasks, kwargs.get("dependencies"))
        with self.cost.learning(len(tasks), expected, self._guard):
            return self._make_tasks(*args, **kwargs)

    async def _refuse(self, client: str, keys: list[Key], graph: GraphIntake) -> None:
        answer = self._begin_refusal(client, graph)
        await answer.send(keys)

    def _begin_refusal(self, client: str, graph: GraphIntake) -> Answer:
        """Record that a graph is refused; return how to answer its keys."""
        text = self._explain(graph)
        fields = {
            "client": name_of(client),
            "tasks": graph.n_tasks,
            "nbytes": int(graph.nbytes),
        }
        self._guard.refusals.add(text, fields)
        return Answer(self._scheduler, client, text)

    def _look_at_client(self, client: str) -> None:
        """Look at each message of a client before it is read, from the next one on."""
        comm = self._scheduler.client_comms[client].comm
        stream = getattr(comm, "stream", None)
        if not hasattr(stream, "read_into"):  # not TCP: a message is read as a whole
            return

        def lose(op: str) -> None:
            logger.warning("%s sent %r with a refused graph: lost", client, name_of(op))

        judge = partial(self._judge, client)
        Arrival(stream, judge, self._scheduler.tasks.__contains__, lose)

    async def _judge(self, client: str, frames: tuple[int, ...]) -> Refuse | None:
        """Judge a message of a client: return how to refuse its graphs, or None."""
        cost = self.message_cost
        cost.forget(client)
        if sum(frames) < LOOKED_AT:
            return None
        if await self._incoming.wait_for_room(cost.expect(frames)):
            cost.begin(client, frames, self._guard)
            return None
        # It keeps the limit, which may be lifted before the message is read.
        graph = GraphIntake(0, self._guard, self.cost)

        def refuse(n_keys: int) -> Answer:
            graph.n_tasks = n_keys
            return self._begin_refusal(client, graph)

        return refuse

    def _explain(self, graph: GraphIntake) -> str:
        return (
            f"the scheduler refused a graph of {graph.describe()}: it had room for "
            f"{graph.describe_room()} (leandask.memory.refuse)."
            f"{self._describe_holders()}"
        )

    def _describe_holders(self) -> str:
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at, self._holders = now, ""
            try:
                largest = look(self._scheduler, self._guard.start).holders[:NAMED]
                self._holders = f" It holds {'; '.join(describe(largest))}"
            except Exception:  # the graph is answered without it
                logger.warning("What holds the memory is not known", exc_info=True)
        return self._holders


def _is_unexpected(record: logging.LogRecord) -> bool:
    return not (record.exc_info and record.exc_info[0] is Refused)


def _run_step(step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do a step of reading a graph, as upstream does in a thread."""
    graph = _current()
    return step(*args, **kwargs) if graph is None else graph.run(step, *args, **kwargs)


def _unpickle(header: Any, frames: Any) -> Any:
    """Unpickle a graph, as upstream does on the event loop."""
    graph = _current()
    return load(header, frames, None if graph is None else graph.check_room)
