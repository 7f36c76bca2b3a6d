"""LeanTasks: has a scheduler hold its tasks in less memory."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from distributed.scheduler import TaskState

from leandask import _compat
from leandask.settings import config
from leandask.tasks.sharedset import EMPTY, SharedSet, SharedSets
from leandask.tasks.smallset import SmallSet, small_set
from leandask.tasks.taskqueue import TaskQueue
from leandask.tasks.taskstate import LeanTaskState, MixedTaskState

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import ClientState, WorkerState

logger = logging.getLogger("leandask")


class LeanTasks:
    """Makes the tasks of a scheduler lean, from :meth:`install` on.

    Each method of the scheduler that makes or changes a set of a task is called as
    before. Around it, sets that are shared get room for the change, and what it leaves
    is made small or shared.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    """

    #: Whether new tasks are lean; if not, why.
    lean: bool
    why: str

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.lean, self.why = False, "not installed"
        #: The sets of the tasks that one client wants, and one worker has.
        self.shared = SharedSets()
        #: Returns the task that was forgotten last, if something still holds it.
        self._forgotten: Callable[[], Any] = lambda: None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'lean' if self.lean else self.why}>"

    def install(self) -> None:
        """Hook into the scheduler, unless its tasks have to stay upstream's own."""
        self.why = self._get_reason()
        self.lean = not self.why
        if not self.lean:
            logger.info("Tasks are not lean: %s", self.why)
            return
        s: Any = self.scheduler
        for ts in s.tasks.values():
            if type(ts) is TaskState:
                ts.__class__ = MixedTaskState
        _compat.set_transitions(
            s,
            {
                ("released", "waiting"): _shrinking_waits(s, "released", "waiting"),
                ("memory", "released"): _shrinking_waiters(s, "memory", "released"),
            },
        )
        queue = TaskQueue(key=s.queued.key)
        for ts in s.queued.sorted():
            queue.add(ts)
        s.queued = queue
        s.new_task = _making_lean(s.new_task)
        s.client_desires_keys = self._sharing_wishes(s.client_desires_keys)
        s.stream_handlers["client-desires-keys"] = s.client_desires_keys
        s._client_releases_keys = self._dropping_wishes(s._client_releases_keys)
        s.add_replica = self._sharing_holders(s.add_replica)
        s.remove_replica = _thawing_holders(s.remove_replica)
        s._remove_key = self._cutting(s._remove_key)

    def _get_reason(self) -> str:
        if not config.read("tasks.lean"):
            return "leandask.tasks.lean is false"
        return "; ".join(sorted(_compat.differences(self.scheduler)))

    def _sharing_wishes(self, upstream: Callable[..., Any]) -> Callable[..., Any]:
        scheduler, shared = self.scheduler, self.shared

        def client_desires_keys(keys: Collection[Any], client: str) -> None:
            if client not in scheduler.clients:
                upstream((), client)  # it makes the client
            if not isinstance(keys, Collection):
                keys = list(keys)  # an iterator can be read once
            cs = scheduler.clients[client]
            only = shared.of(cs)
            met: list[Any] = []
            try:
                for ts in map(scheduler.tasks.get, keys):
                    if ts is None:
                        continue
                    wanting: Any = ts.who_wants
                    if wanting is None:
                        ts.who_wants = only  # the client is in already
                        met.append(ts)
                    elif type(wanting) is SharedSet and wanting is not only:
                        ts.who_wants = SmallSet(wanting)
                upstream(keys, client)
            except BaseException:  # a key is bad, or its warning is an error
                for ts in met:
                    if ts not in cs.wants_what:
                        ts.who_wants = None
                raise

        return client_desires_keys

    def _dropping_wishes(self, upstream: Callable[..., Any]) -> Callable[..., Any]:
        scheduler, shared = self.scheduler, self.shared

        def _client_releases_keys(
            keys: Collection[Any], cs: ClientState, recommendations: Any
        ) -> None:
            only = shared.of(cs)
            tasks = scheduler.tasks
            for key in keys:
                ts = tasks.get(key)
                if ts is not None and ts.who_wants is only:
                    ts.who_wants = None
            upstream(keys=keys, cs=cs, recommendations=recommendations)

        return _client_releases_keys

    def _sharing_holders(self, upstream: Callable[..., Any]) -> Callable[..., Any]:
        shared = self.shared

        def add_replica(ts: Any, ws: WorkerState) -> None:
            if ts.who_has is not None:
                _thaw_holders(ts)
            upstream(ts, ws)
            if len(ts.who_has) == 1:
                ts.who_has = shared.of(ws)

        return add_replica

    def _cutting(self, upstream: Callable[..., Any]) -> Callable[..., Any]:
        def _remove_key(key: Any) -> None:
            # Upstream gives a forgotten task its dependencies and dependents back, for
            # plugins, and leaves them: whatever still holds this task would hold all of
            # its graph. The task before was shown to the plugins by now.
            gone = self._forgotten()
            if gone is not None:
                gone.dependencies = gone.dependents = EMPTY
            self._forgotten = weakref.ref(self.scheduler.tasks[key])
            upstream(key)

        return _remove_key


def _making_lean(upstream: Callable[..., Any]) -> Callable[..., Any]:
    def new_task(*args: Any, **kwargs: Any) -> Any:
        ts = upstream(*args, **kwargs)
        if type(ts) is TaskState:
            ts.__class__ = LeanTaskState
            ts.dependencies = ts.dependents = EMPTY
        return ts

    return new_task


def _shrinking_waits(s: Any, *transition: str) -> Callable[..., Any]:
    upstream = s._TRANSITIONS_TABLE[transition]

    def released_waiting(scheduler: Any, key: Any, stimulus_id: str) -> Any:
        result = upstream(scheduler, key, stimulus_id)
        ts = scheduler.tasks[key]
        if ts.waiters is not None:
            ts.waiters = small_set(ts.waiters) if ts.waiters else None
        if ts.waiting_on:
            ts.waiting_on = small_set(ts.waiting_on)
        for dts in ts.dependencies:
            dts.waiters = small_set(dts.waiters)
        return result

    return released_waiting


def _shrinking_waiters(s: Any, *transition: str) -> Callable[..., Any]:
    upstream = s._TRANSITIONS_TABLE[transition]

    def memory_released(scheduler: Any, key: Any, stimulus_id: str) -> Any:
        result = upstream(scheduler, key, stimulus_id)
        for dts in scheduler.tasks[key].waiters or ():
            dts.waiting_on = small_set(dts.waiting_on)
        return result

    return memory_released


def _thawing_holders(upstream: Callable[..., Any]) -> Callable[..., Any]:
    def remove_replica(ts: Any, ws: WorkerState) -> None:
        _thaw_holders(ts)
        upstream(ts, ws)

    return remove_replica


def _thaw_holders(ts: Any) -> None:
    """Give a task a set of workers of its own, as that will change."""
    if type(ts.who_has) is SharedSet:
        ts.who_has = SmallSet(ts.who_has)
