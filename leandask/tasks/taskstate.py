"""LeanTaskState: a task that holds no empty set and no large set for few members."""

from __future__ import annotations

from typing import Any

from distributed.scheduler import TaskState

from leandask.tasks.sharedset import EMPTY
from leandask.tasks.smallset import small_set

_add_dependency = TaskState.add_dependency


class MixedTaskState(TaskState):
    """A task from before its scheduler got lean: as upstream's, beside lean ones."""

    __slots__ = ()

    def add_dependency(self, other: TaskState) -> None:
        """Add another task as a dependency of this one."""
        # What is in already is not added by upstream: these sets take only what fits.
        sets: Any = (self, other)
        if sets[0].dependencies is EMPTY:
            sets[0].dependencies = small_set((other,))
        if sets[1].dependents is EMPTY:
            sets[1].dependents = small_set((self,))
        _add_dependency(self, other)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As upstream's: whoever reads it may not have leandask.
        made, (_, *rest), *state = super().__reduce_ex__(protocol)
        return (made, (TaskState, *rest), *state)


class LeanTaskState(MixedTaskState):
    """A task whose sets are shared while they are empty, and small while they are.

    It has the attributes of upstream's, and no more. Two tasks are equal if they are
    the same: upstream compares keys, with a function in Python.
    """

    __slots__ = ()

    __hash__ = object.__hash__
    __eq__ = object.__eq__
