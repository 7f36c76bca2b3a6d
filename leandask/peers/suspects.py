"""Suspects: which tasks took workers down with them."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, Any

from leandask.records.schema import SUSPECTS
from leandask.records.text import name_of

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState

    from leandask.records.stream import RecordStream

#: Tasks of a lost worker that are named; all are counted.
NAMED = 10
#: Tasks whose lost workers are known, and how many of each: 0.4 MB with usual keys.
TASKS, WORKERS = 1000, 10


class Suspects:
    """Publishes an event when a task's worker is lost, and one when it is given up.

    Upstream counts how often each task was on a worker that was lost
    (``TaskState.suspicious``), and errs it beyond ``allowed_failures``. Nothing is done
    before a worker is lost.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
        Counts exceptions.
    """

    def __init__(self, scheduler: Scheduler, stream: RecordStream) -> None:
        self._scheduler = scheduler
        self._stream = stream
        # The last workers by the key of each task, the task of the last event last.
        self._lost: dict[str, list[str]] = {}
        self._remove_worker = scheduler.remove_worker

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._lost)}/{TASKS}>"

    def install(self) -> None:
        """Look at each worker that is removed."""
        scheduler: Any = self._scheduler
        scheduler.remove_worker = scheduler.handlers["unregister"] = self.remove_worker

    def workers_lost(self, key: str) -> list[str]:
        """Return the last workers that were lost during a task, by its key as text."""
        return self._lost.get(key, [])

    async def remove_worker(
        self, address: str, *, expected: bool = False, **kwargs: Any
    ) -> str:
        """Remove a worker as upstream does, and tell what it was processing."""
        ws = self._scheduler.workers.get(self._scheduler.coerce_address(address))
        processing: dict[TaskState, float] = {}
        if ws is not None and not expected:
            # Seconds for which each runs; -1 for those that wait on the worker.
            processing = dict.fromkeys(ws.processing, -1.0) | ws.executing
        result = await self._remove_worker(address, expected=expected, **kwargs)
        if processing and ws is not None and result == "OK":
            try:
                self._tell(ws.address, processing)
            except Exception:
                self._stream.count_error()
        return result

    def _tell(self, worker: str, processing: dict[TaskState, float]) -> None:
        """Publish one event of all tasks that go on, and one of each that does not."""
        allowed = self._scheduler.allowed_failures
        given_up = [ts for ts in processing if ts.suspicious > allowed]
        suspected = [ts for ts in processing if ts.suspicious <= allowed]

        def suspicion(ts: TaskState) -> tuple[int, float]:
            return ts.suspicious, processing[ts]

        for ts in nlargest(NAMED, given_up, suspicion):
            self._publish("task-given-up", worker, [ts], len(given_up))
            del self._lost[name_of(ts.key)]
        if suspected:
            named = nlargest(NAMED, suspected, suspicion)
            self._publish("task-suspected", worker, named, len(suspected))

    def _publish(
        self, action: str, worker: str, named: list[TaskState], n_tasks: int
    ) -> None:
        """Publish an event of the most suspicious task, and the names of others."""
        for ts in named:
            self._note(name_of(ts.key), worker, ts.suspicious)
        first, *others = named
        key = name_of(first.key)
        msg: dict[str, Any] = {
            "action": action,
            "key": key,
            "prefix": name_of(first.prefix.name),
            "suspicious": first.suspicious,
            "worker": worker,
            "n-tasks": n_tasks,
            "workers-lost": self._lost[key],
        }
        if others:
            msg["others"] = [name_of(ts.key) for ts in others]
        self._scheduler.log_event(SUSPECTS, msg)

    def _note(self, key: str, worker: str, suspicious: int) -> None:
        """Add a lost worker to those of a task."""
        lost = [*self._lost.pop(key, ()), worker]
        # A task of the same name may have finished before.
        self._lost[key] = lost[-min(suspicious, WORKERS) :]
        if len(self._lost) > TASKS:
            del self._lost[next(iter(self._lost))]
