"""LeanTaskState: a task that holds no empty set and no large set for few members."""

from __future__ import annotations

from typing import Any

from distributed.scheduler import TaskState

from leandask.tasks.erred import PackedError
from leandask.tasks.sharedset import EMPTY
from leandask.tasks.smallset import SmallSet

_add_dependency = TaskState.add_dependency
#: The place of the attribute of upstream's.
_exception: Any = TaskState.exception


class MixedTaskState(TaskState):
    """A task from before its scheduler got lean: as upstream's, beside lean ones."""

    __slots__ = ()

    def add_dependency(self, other: TaskState) -> None:
        """Add another task as a dependency of this one."""
        # Upstream adds to both sets, so none may be the one that all tasks share.
        if self.dependencies is EMPTY:
            self.dependencies = SmallSet((other,))
        if other.dependents is EMPTY:
            other.dependents = SmallSet((self,))
        _add_dependency(self, other)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As upstream's: whoever reads it may not have leandask.
        reduced: Any = super().__reduce_ex__(protocol)
        make, (_, *arguments), *state = reduced
        return make, (TaskState, *arguments), *state


class LeanTaskState(MixedTaskState):
    """A task whose sets are shared while they are empty, and small while they are.

    It has the attributes of upstream's, and no more. Two tasks are equal if they are
    the same: upstream compares keys, with a function in Python.
    """

    __slots__ = ()

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    @property
    def exception(self) -> Any:
        """The exception that it raised, pickled; None if it has not."""
        error = _exception.__get__(self)
        return error.unpacked() if type(error) is PackedError else error

    @exception.setter
    def exception(self, error: Any) -> None:
        _exception.__set__(self, error)
