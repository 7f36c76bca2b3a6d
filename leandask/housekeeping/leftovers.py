"""Leftovers: what upstream keeps of peers, tasks and names that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, TypeVar

from dask.utils import stringify

from leandask.housekeeping.stealing import forget_gone

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskGroup, TaskState

T = TypeVar("T")

#: Longest time in seconds that a job takes of the event loop before it lets others in.
SLICE_SECONDS = 0.005
#: What fires tasks to be forgotten, as upstream names it.
FIRED = "fire-and-forget"


def forget_departed(scheduler: Scheduler) -> Iterator[None]:
    """Forget what is left of workers that have left.

    Of each two workers that sent each other data upstream keeps the bandwidth, and a
    late heartbeat brings it back.
    """
    forget_gone(scheduler)
    bandwidth, workers = scheduler.bandwidth_workers, scheduler.workers

    def forget(pairs: Iterable[tuple[str, str]]) -> None:
        for a, b in pairs:
            if a not in workers or b not in workers:
                bandwidth.pop((a, b), None)

    return _in_slices(forget, bandwidth, 1000)


def forget_dead_groups(scheduler: Scheduler) -> Iterator[None]:
    """Forget the groups that groups depended on, once no task is in them."""
    live = scheduler.task_groups

    def forget(groups: Iterable[TaskGroup]) -> None:
        for group in groups:
            dependencies = group.dependencies
            dead = [tg for tg in dependencies if live.get(tg.name) is not tg]
            dependencies.difference_update(dead)

    return _in_slices(forget, live.values())


def release_fired(scheduler: Scheduler) -> Iterator[None]:
    """Release the tasks that were finished before they were fired and forgotten.

    Upstream releases one where it finishes: what has finished already it would keep,
    with its result, for ever.
    """

    def release(tasks: Iterable[TaskState]) -> None:
        keys = [ts.key for ts in tasks if ts.state in ("memory", "erred")]
        if keys:
            scheduler.client_releases_keys(keys, FIRED)

    return _in_slices(release, scheduler.clients[FIRED].wants_what, 50)


def forget_connections(scheduler: Scheduler) -> None:
    """Forget the addresses that there is no connection to."""
    for connections in (scheduler.rpc.available, scheduler.rpc.occupied):
        for address in [a for a, comms in connections.items() if not comms]:
            del connections[address]


def forget_queues(scheduler: Scheduler) -> None:
    """Forget the clients by which queues that are gone held their futures.

    The release of a future that was got comes later, and asks for this client: it stays
    for as long as it wants something.
    """
    queues = scheduler.extensions.get("queues")
    if queues is None:
        return
    gone = _get_gone(scheduler, "queue-", queues.queues)
    if gone:
        # What was in a queue when it closed was released then, but is counted still.
        counts = queues.future_refcount
        for name, key in [e for e in counts if f"queue-{e[0]}" in gone]:
            del counts[name, key]
    for client in gone:
        del scheduler.clients[client]


def forget_datasets(scheduler: Scheduler) -> None:
    """Forget the clients by which datasets that are gone held their tasks.

    Where upstream takes a dataset back at once, until 2026.1 at least, taking it back a
    second time asks for this client, which has to stay.
    """
    publish = scheduler.extensions.get("publish")
    if publish is not None and iscoroutinefunction(publish.delete):
        names = map(stringify, publish.datasets)
        for client in _get_gone(scheduler, "published-", names):
            del scheduler.clients[client]


def _get_gone(scheduler: Scheduler, prefix: str, names: Iterable[object]) -> set[str]:
    """Clients of such a prefix that have no name any more and want nothing."""
    present = {f"{prefix}{name}" for name in names}
    return {
        client
        for client, cs in scheduler.clients.items()
        if client.startswith(prefix)
        and client not in present
        and client not in scheduler.client_comms
        and not cs.wants_what
    }


def _in_slices(
    work: Callable[[Iterable[T]], None], items: Iterable[T], size: int = 1
) -> Iterator[None]:
    """Work on so many items at a time, and yield where it took long."""
    begun = time.monotonic()
    entries = [*items]
    for start in range(0, len(entries), size):
        work(entries[start : start + size])
        if time.monotonic() - begun > SLICE_SECONDS:
            yield
            begun = time.monotonic()
