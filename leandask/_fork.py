"""Fork: what a child process must leave to its parent."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class LeavesToParent(Protocol):
    """Something with a thread, a queue or a file that a fork must not double."""

    def after_fork(self) -> None:
        """In a child process: let go of all that is the parent's."""


_known: weakref.WeakSet[LeavesToParent] = weakref.WeakSet()


def leave_to_parent(owner: LeavesToParent) -> None:
    """Have ``after_fork`` called in every child process, as long as `owner` lives.

    Parameters
    ----------
    owner : object
        Weakly referred to.
    """
    _known.add(owner)


def _after_fork() -> None:
    for owner in list(_known):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
