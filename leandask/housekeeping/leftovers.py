"""Leftovers: what upstream keeps of workers, tasks, names and files that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, TypeVar

from dask.utils import stringify
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerUploadFile

from leandask import _compat
from leandask.histories.spans.groups import fold_types

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskGroup, TaskState

T = TypeVar("T")

#: Seconds that a job may hold the event loop before it yields.
SLICE_SECONDS = 0.005
#: Upstream's name of the client that holds fire-and-forget tasks.
FIRED = "fire-and-forget"


def forget_bandwidths(
    scheduler: Scheduler, slice_seconds: float = SLICE_SECONDS
) -> Iterator[None]:
    """Forget the bandwidths between workers of which one has left.

    Upstream keeps one for each two workers that sent each other data, and a late
    heartbeat brings it back.
    """
    bandwidth, workers = scheduler.bandwidth_workers, scheduler.workers

    def forget(pairs: Iterable[tuple[str, str]]) -> None:
        for a, b in pairs:
            if a not in workers or b not in workers:
                bandwidth.pop((a, b), None)

    return _in_slices(forget, bandwidth, 1000, slice_seconds)


def forget_dead_groups(scheduler: Scheduler) -> Iterator[None]:
    """Forget the groups that other groups depended on, once they have no task."""
    live = scheduler.task_groups

    def forget(groups: Iterable[TaskGroup]) -> None:
        for group in groups:
            dependencies = group.dependencies
            dead = [tg for tg in dependencies if live.get(tg.name) is not tg]
            dependencies.difference_update(dead)

    return _in_slices(forget, live.values())


def release_fired(
    scheduler: Scheduler, slice_seconds: float = SLICE_SECONDS
) -> Iterator[None]:
    """Release the tasks that had finished before ``fire_and_forget`` was called.

    Upstream releases a fire-and-forget task when it finishes. One that has already
    finished would stay forever, with its result.
    """

    def release(tasks: Iterable[TaskState]) -> None:
        keys = [ts.key for ts in tasks if ts.state in ("memory", "erred")]
        if keys:
            scheduler.client_releases_keys(keys, FIRED)

    fired = scheduler.clients[FIRED].wants_what
    return _in_slices(release, fired, 50, slice_seconds)


def forget_resources(scheduler: Scheduler) -> None:
    """Forget the names of resources that no worker has.

    Upstream looks a name up with a default, or adds it when a task asks for it.
    """
    resources = scheduler.resources
    for name in [name for name, supply in resources.items() if not supply]:
        del resources[name]


def forget_types(
    scheduler: Scheduler, slice_seconds: float = SLICE_SECONDS
) -> Iterator[None]:
    """Forget types of results, where the tasks of a living group had very many."""

    def forget(groups: Iterable[TaskGroup]) -> None:
        for group in groups:
            fold_types(group)

    return _in_slices(forget, scheduler.task_groups.values(), 100, slice_seconds)


def compact_queue(scheduler: Scheduler) -> None:
    """Forget the tasks that left the queue other than from its top."""
    _compat.compact_heap(scheduler.queued)


def forget_connections(scheduler: Scheduler) -> None:
    """Forget the addresses to which there is no connection."""
    for connections in (scheduler.rpc.available, scheduler.rpc.occupied):
        for address in [a for a, comms in connections.items() if not comms]:
            del connections[address]


def forget_queues(scheduler: Scheduler) -> None:
    """Forget the clients that stood for a ``Queue`` which is gone.

    The release of a future comes after it was taken out of its queue, and looks this
    client up. So the client stays as long as it wants something.
    """
    queues = scheduler.extensions.get("queues")
    if queues is None:
        return
    gone = _get_gone(scheduler, "queue-", queues.queues)
    if gone:
        # A queue that closes releases what is in it, but leaves the counts.
        counts = queues.future_refcount
        for name, key in [e for e in counts if f"queue-{e[0]}" in gone]:
            del counts[name, key]
    for client in gone:
        del scheduler.clients[client]


def forget_datasets(scheduler: Scheduler) -> None:
    """Forget the clients that stood for a published dataset which is gone.

    In releases that unpublish synchronously, at least until 2026.1, unpublishing twice
    looks this client up, so it has to stay.
    """
    publish = scheduler.extensions.get("publish")
    if publish is not None and iscoroutinefunction(publish.delete):
        names = map(stringify, publish.datasets)
        for client in _get_gone(scheduler, "published-", names):
            del scheduler.clients[client]


def forget_uploads(scheduler: Scheduler) -> None:
    """Forget the contents of uploaded files, which are on the scheduler's disk.

    Each call of ``Client.upload_file`` leaves a plugin forever. It holds the whole
    file, and needs it only at its start.
    """
    if scheduler.status is not Status.running:  # its plugins may not have started yet
        return
    for name, plugin in list(scheduler.plugins.items()):
        if type(plugin) is SchedulerUploadFile and plugin.data:
            written = copy(plugin)  # the user may start the same one elsewhere
            written.data = b""
            scheduler.plugins[name] = written


def _get_gone(scheduler: Scheduler, prefix: str, names: Iterable[object]) -> set[str]:
    """Return the clients with a prefix that stand for no name and want nothing."""
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
    work: Callable[[Iterable[T]], None],
    items: Iterable[T],
    size: int = 1,
    slice_seconds: float = SLICE_SECONDS,
) -> Iterator[None]:
    """Work on `size` items at a time, and yield after each `slice_seconds`."""
    begun = time.monotonic()
    entries = [*items]
    for start in range(0, len(entries), size):
        work(entries[start : start + size])
        if time.monotonic() - begun > slice_seconds:
            yield
            begun = time.monotonic()
