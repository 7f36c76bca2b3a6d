"""Fork: objects that a child process must leave to its parent process."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class LeavesToParent(Protocol):
    """An object with a thread, a queue or a file that two processes must not share."""

    def after_fork(self) -> None:
        """In a child process: leave what belongs to the parent process."""


_known: weakref.WeakSet[LeavesToParent] = weakref.WeakSet()


def leave_to_parent(owner: LeavesToParent) -> None:
    """Call ``after_fork`` of `owner` in every child process, as long as it lives."""
    _known.add(owner)


def _after_fork() -> None:
    for owner in list(_known):
        owner.after_fork()


os.register_at_fork(after_in_child=_after_fork)
