"""The names of locks and semaphores, bounded to the most recently used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

from distributed.metrics import time
from distributed.multi_lock import MultiLockExtension
from distributed.semaphore import SemaphoreExtension

from leandask.histories.history import Held
from leandask.histories.lru import LRU
from leandask.histories.names import Limit, weigh

if TYPE_CHECKING:
    from distributed import Scheduler

#: Seconds after its last refresh when a lease of an unknown name is forgotten. Upstream
#: refreshes each five times per ``distributed.scheduler.locks.lease-timeout``, 30 s.
LEASE_SECONDS = 300.0
#: Messages that name a lock that is known. Upstream keeps the name of up to three.
MESSAGES = ("acquire", "release", "refresh_leases", "value")


class Locks(LRU[Any, int]):
    """``max_leases`` by the name of a semaphore or lock, the least recently used first.

    One that is held or waited for stays. One that was evicted is closed: a new lock of
    that name works, and an older object raises upstream's RuntimeError when it is
    acquired.

    Parameters
    ----------
    extension : distributed.semaphore.SemaphoreExtension
    """

    def __init__(self, extension: SemaphoreExtension) -> None:
        self._extension = extension
        #: The first copy of each long name.
        self._long: dict[Any, Any] = {}
        super().__init__(extension.max_leases.items())

    def __getitem__(self, name: Any) -> int:
        self.move_to_end(name)
        return super().__getitem__(name)

    def __setitem__(self, name: Any, value: int) -> None:
        if weigh(name):
            self._long.setdefault(name, name)
        super().__setitem__(name, value)

    def __delitem__(self, name: Any) -> None:
        super().__delitem__(name)
        self._long.pop(name, None)

    def share(self, name: Any) -> Any:
        """Return the first copy of a long name."""
        return self._long.get(name, name) if weigh(name) else name

    def is_idle(self, key: Any, value: int) -> bool:
        """Whether nobody holds it or waits for it."""
        pending = self._extension.metrics["pending"]
        return not self._extension.leases.get(key) and not pending.get(key)

    def evict(self, key: Any, value: int) -> None:
        """Close a semaphore or lock, which removes it here too."""
        self._extension.close(key)


def install(scheduler: Scheduler, locks: int | None, limit: Limit | None) -> None:
    """Bound the names of locks and semaphores that nobody holds; None is unbounded."""
    extension = scheduler.extensions.get("semaphores")
    if extension is not None:
        # Without a bound at first: evicting a name closes it, which changes max_leases.
        extension.max_leases = names = Locks(extension)
        names.resize(locks, limit)
        for message in MESSAGES:
            _share_names(scheduler.handlers, f"semaphore_{message}", names)


def _share_names(handlers: Any, op: str, names: Locks) -> None:
    """Have a handler get the first copy of a name, so that it keeps no other one."""
    handle: Callable[..., Any] | None = handlers.get(op)
    if handle is None:
        return

    @wraps(handle)
    def handle_shared(*args: Any, name: Any = None, **kwargs: Any) -> Any:
        return handle(*args, name=names.share(name), **kwargs)

    handlers[op] = handle_shared


def resize(scheduler: Scheduler, locks: int | None, limit: Limit | None) -> None:
    """Set other bounds, and close names beyond them."""
    if "semaphores" in scheduler.extensions:
        scheduler.extensions["semaphores"].max_leases.resize(locks, limit)


def look(scheduler: Scheduler) -> Held:
    """Count the names."""
    extension = scheduler.extensions.get("semaphores")
    if extension is None:
        return Held(0, 0)
    names = extension.max_leases
    return Held(len(names), names.seen, weight=names.weight)


def forget(scheduler: Scheduler) -> Iterator[None]:
    """Forget names that are closed, free, or were only looked up."""
    extensions = scheduler.extensions
    if "semaphores" in extensions:
        extensions["semaphores"].max_leases.evict_surplus()
        yield from forget_closed(extensions["semaphores"])
    if "multi_locks" in extensions:
        forget_free(extensions["multi_locks"])


def forget_closed(
    extension: SemaphoreExtension, lease_seconds: float = LEASE_SECONDS
) -> Iterator[None]:
    """Forget what is left of closed names, and names that were only looked up.

    A name that is closed while it is held or waited for comes back with the next lease
    that is refreshed, or with a negative number of waiting acquires. A lease stays as
    long as it is refreshed, as upstream logs each lease that it does not know.
    """
    known, leases = extension.max_leases, extension.leases
    oldest = time() - lease_seconds
    for name in leases.keys() - known.keys():
        if all(refreshed < oldest for refreshed in leases[name].values()):
            del leases[name]
    for mapping in (extension.events, *extension.metrics.values()):
        yield
        for name in mapping.keys() - known.keys():
            del mapping[name]
    pending = extension.metrics["pending"]
    for name in [name for name, waiting in pending.items() if waiting < 0]:
        del pending[name]


def forget_free(extension: MultiLockExtension) -> None:
    """Forget the names of multi-locks that nobody holds or waits for."""
    for name in [name for name, users in extension.locks.items() if not users]:
        del extension.locks[name]
