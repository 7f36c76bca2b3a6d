"""Locks: the names of locks and semaphores, those used last."""

from __future__ import annotations

from typing import Any

from distributed.semaphore import SemaphoreExtension

from leandask.recent import Recent


class Locks(Recent[Any, int]):
    """Most leases by the name of a semaphore or lock, the longest unused first.

    One that is held or waited for stays. One that went is as if it had been closed: a
    lock that is made by its name comes back, and an object that was made before raises
    upstream's RuntimeError when it is acquired.

    Parameters
    ----------
    extension : distributed.semaphore.SemaphoreExtension
    maxlen : int or None
        Names kept; None is unbounded.
    """

    def __init__(self, extension: SemaphoreExtension, maxlen: int | None) -> None:
        self._extension = extension
        super().__init__(extension.max_leases.items(), maxlen)

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
    extension.max_leases = Locks(extension, locks)


def forget_closed(extension: SemaphoreExtension) -> None:
    """Remove what asking for the value of an unknown name has made."""
    known, leases = extension.max_leases, extension.leases
    for name in [n for n, held in leases.items() if not held and n not in known]:
        del leases[name]
