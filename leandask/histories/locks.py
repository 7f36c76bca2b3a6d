"""Locks: the names of locks and semaphores, those used last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from distributed.metrics import time
from distributed.multi_lock import MultiLockExtension
from distributed.semaphore import SemaphoreExtension

from leandask.histories.lru import Recent

#: Seconds since it was refreshed after which a lease of an unknown name goes. Upstream
#: refreshes each five times per ``distributed.scheduler.locks.lease-timeout``, 30 s.
LEASE_SECONDS = 300.0


class Locks(Recent[Any, int]):
    """Most leases by the name of a semaphore or lock, the longest unused first.

    It takes the place of the extension's own, which closing changes, before it has a
    bound: see :func:`bound_locks`.

    One that is held or waited for stays. One that went is as if it had been closed: a
    lock that is made by its name comes back, and an object that was made before raises
    upstream's RuntimeError when it is acquired.

    Parameters
    ----------
    extension : distributed.semaphore.SemaphoreExtension
    """

    def __init__(self, extension: SemaphoreExtension) -> None:
        self._extension = extension
        super().__init__(extension.max_leases.items())

    def __getitem__(self, name: Any) -> int:
        self.move_to_end(name)
        return super().__getitem__(name)

    def is_idle(self, key: Any, value: int) -> bool:
        """Whether nobody holds it or waits for it."""
        pending = self._extension.metrics["pending"]
        return not self._extension.leases.get(key) and not pending.get(key)

    def evict(self, key: Any, value: int) -> None:
        """Close a semaphore or lock, which removes it here too."""
        self._extension.close(key)


def bound_locks(extension: SemaphoreExtension, locks: int | None) -> None:
    """Bound the names of locks and semaphores that nobody holds.

    Parameters
    ----------
    extension : distributed.semaphore.SemaphoreExtension
    locks : int or None
        Names kept; None is unbounded.
    """
    extension.max_leases = names = Locks(extension)
    names.resize(locks)


def forget_closed(extension: SemaphoreExtension) -> Iterator[None]:
    """Remove what is left of unknown names, or was made by asking for one.

    A name that is closed while it is held or waited for comes back with the next lease
    that is refreshed, and as one that less than nobody waits for. A lease stays for as
    long as it is refreshed, since upstream logs each that it does not know.
    """
    known, leases = extension.max_leases, extension.leases
    oldest = time() - LEASE_SECONDS
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
    """Remove the names of multi-locks that nobody holds or waits for."""
    for name in [name for name, users in extension.locks.items() if not users]:
        del extension.locks[name]
