"""SharedSet: one set that stands in many tasks, which have the same members."""

from __future__ import annotations

import operator
from collections.abc import Callable, MutableSet
from typing import Any
from weakref import WeakValueDictionary

from leandask.tasks.smallset import plain

#: Without types: a set that may not change has the methods that change a set.
_FrozenSet: Any = frozenset


class SharedSet(_FrozenSet):
    """A set that many tasks have in common, so it may not change.

    It has everything that a set has. What would change it raises an error; what leaves
    it as it is does not, as ``clear`` of an empty set. What it returns are plain sets,
    and it is copied and pickled as one.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(set(self))

    def __reduce__(self) -> Any:
        return set, (list(self),)

    def copy(self) -> set[Any]:
        """Return a set that may change."""
        return set(self)

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
    method = getattr(set, name)

    def change(self: Any, *args: Any) -> Any:
        changed = set(self)
        result = method(changed, *args)
        if changed != self:
            raise _refusal(name)
        return self if name.startswith("__") and result is changed else result

    return change


def _operator(operate: Callable[[Any, Any], Any], swap: bool) -> Callable[..., Any]:
    def left(self: Any, other: Any) -> Any:
        return operate(set(self), plain(other))

    def right(self: Any, other: Any) -> Any:
        return operate(plain(other), set(self))

    return right if swap else left


def _asking(name: str) -> Callable[..., Any]:
    method = getattr(set, name)

    def ask(self: Any, *others: Any) -> Any:
        return method(set(self), *others)

    return ask


for _name in ("discard", "remove", "pop", "update", "intersection_update",
              "difference_update", "symmetric_difference_update",
              "__ior__", "__iand__", "__isub__", "__ixor__"):  # fmt: skip
    setattr(SharedSet, _name, _refusing(_name))
for _name in ("union", "intersection", "difference", "symmetric_difference"):
    setattr(SharedSet, _name, _asking(_name))
for _name in ("or", "and", "sub", "xor"):
    _operate = getattr(operator, f"__{_name}__")
    setattr(SharedSet, f"__{_name}__", _operator(_operate, swap=False))
    setattr(SharedSet, f"__r{_name}__", _operator(_operate, swap=True))

MutableSet.register(SharedSet)

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
