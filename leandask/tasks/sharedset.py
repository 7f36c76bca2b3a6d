"""SharedSet: one set that stands in many tasks, which have the same members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

#: Without types: as a member of this may not be added to it.
_Set: Any = set


class SharedSet(_Set):
    """A set that many tasks have in common, so it may not change.

    It has everything that a set has. What would change it raises an error; what leaves
    it as it is does not, as ``clear`` of an empty set. What it returns are plain sets,
    and it is copied and pickled as one.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(self.copy())

    def __reduce__(self) -> Any:
        return set, (list(self),)

    # These two are called for each task.

    def add(self, item: Any) -> None:
        """Do nothing if it is a member; raise TypeError if it is not."""
        if item not in self:
            raise _refusal("add")

    def clear(self) -> None:
        """Do nothing if it is empty; raise TypeError if it is not."""
        if self:
            raise _refusal("clear")


def _refusal(name: str) -> TypeError:
    return TypeError(
        f"{name}() can't change a set that many tasks share: change a copy of it, and "
        "store that in the task"
    )


def _refusing(name: str) -> Callable[..., Any]:
    """Return a method that would change the members: it raises TypeError then."""
    method = getattr(set, name)

    def change(self: Any, *args: Any) -> Any:
        changed = self.copy()
        result = method(changed, *args)
        if changed != self:
            raise _refusal(name)
        return self if result is changed else result

    return change


for _name in ("discard", "remove", "pop", "update", "intersection_update",
              "difference_update", "symmetric_difference_update",
              "__ior__", "__iand__", "__isub__", "__ixor__"):  # fmt: skip
    setattr(SharedSet, _name, _refusing(_name))

#: The dependencies and the dependents of all tasks that have none.
EMPTY = SharedSet()


class SharedSets:
    """The shared sets of one member: each client's, each worker's.

    A set goes with the last task that has it.
    """

    def __init__(self) -> None:
        # By the number of its member, which lives as long as the set. Not by the
        # member: a client that comes back is equal to the one that left.
        self._sets: WeakValueDictionary[int, SharedSet] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._sets)

    def of(self, member: Any) -> Any:
        """Return the set that has this member alone."""
        try:
            return self._sets[id(member)]
        except KeyError:
            shared = self._sets[id(member)] = SharedSet((member,))
            return shared
