"""SmallSet: a set of a few members, at a third of a set's memory."""

from __future__ import annotations

import dis
import operator
import sys
from collections.abc import Callable, Iterator, MutableSet
from typing import Any

#: Members of a set that is small. A list of 8 takes 128 bytes, a set of 5 already 728.
FEW = 8

#: Without types: a set may not have the methods that a list has.
_List: Any = list
#: Gives a list other members. It allocates no more than they need: 80 bytes in all for
#: one or two, where `append` would allocate for eight.
_fill = list.__init__


class _Absent:
    """A method of lists that sets don't have."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        raise AttributeError(f"{owner.__name__!r} is a set: it has no {self.name!r}")


def _no_order(self: Any, *args: Any) -> Any:
    raise TypeError(f"{type(self).__name__!r} is a set: its members have no order")


class SmallSet(_List):
    """A set of up to :data:`FEW` members, which becomes a :class:`LargeSet` beyond.

    It is a list, so that its length, its iterator and ``in`` are as fast as a list's.
    It has everything that a set has, takes part in operations with sets, and is copied
    and pickled as a set.

    Parameters
    ----------
    items : iterable, optional
        Its members: not more than :data:`FEW`, and all different. This is not checked,
        as a list is made much faster without; see :func:`small_set`.
    """

    __slots__ = ()
    __hash__: Any = None

    append = _Absent()
    count = _Absent()
    extend = _Absent()
    index = _Absent()
    insert = _Absent()
    reverse = _Absent()
    sort = _Absent()

    __getitem__ = __setitem__ = __delitem__ = __reversed__ = _no_order
    __add__ = __radd__ = __iadd__ = __mul__ = __rmul__ = __imul__ = _no_order

    def __repr__(self) -> str:
        return repr(set(self))

    def __reduce__(self) -> Any:
        return set, (list(self),)

    def add(self, item: Any) -> None:
        """Add a member."""
        if item not in self:
            if len(self) < FEW:
                _fill(self, (*self, item))
            else:
                self._keep({*self, item})

    def discard(self, item: Any) -> None:
        """Remove a member, if it is there."""
        if item in self:
            list.remove(self, item)

    def remove(self, item: Any) -> None:
        """Remove a member; raise KeyError if it is not there."""
        try:
            list.remove(self, item)
        except ValueError:
            raise KeyError(item) from None

    def pop(self) -> Any:
        """Remove and return any member; raise KeyError if there is none."""
        if not self:
            raise KeyError("pop from an empty set")
        return list.pop(self)

    def _keep(self, members: set[Any]) -> None:
        """Have other members, of which there may be many."""
        if len(members) <= FEW:
            _fill(self, members)
        else:
            _fill(self, (members,))
            self.__class__ = LargeSet


class LargeSet(SmallSet):
    """What a :class:`SmallSet` became: its only item is the real set."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(_real(self))

    def __iter__(self) -> Iterator[Any]:
        return iter(_real(self))

    def __contains__(self, item: object) -> bool:
        return item in _real(self)


def small_set(members: Any) -> Any:
    """Return a set of few members as a small set, and anything else as it is."""
    few = type(members) is set and len(members) <= FEW
    return SmallSet(members) if few else members


_get_item = list.__getitem__


def _real(large: Any) -> set[Any]:
    return _get_item(large, 0)


def _plain(other: Any) -> Any:
    """Return a small set as a set, and anything else as it is."""
    return set(other) if isinstance(other, SmallSet) else other


#: The instructions of ``a |= b`` and its like: number and argument.
_IN_PLACE = {
    (instruction.opcode, instruction.arg or 0)
    for sign in "|&-^"
    for instruction in dis.get_instructions(compile(f"a {sign}= b", "", "exec"))
    if instruction.opname.startswith(("BINARY", "INPLACE"))
}


def _is_in_place() -> bool:
    """Whether the caller was called by ``a |= b``, rather than by ``a | b``.

    A set knows no other class in ``a |= b``. Python then asks for ``a | b``, and
    whoever has `a` by another name too would not see the new members.
    """
    frame = sys._getframe(2)
    at, code = frame.f_lasti, frame.f_code.co_code
    return (code[at], code[at + 1]) in _IN_PLACE


def _asking(name: str) -> Callable[..., Any]:
    """Return a method of sets that changes nothing."""
    method = getattr(set, name)

    def ask(self: Any, *others: Any) -> Any:
        return method(set(self), *others)

    return ask


def _changing(name: str) -> Callable[..., Any]:
    """Return a method of sets that changes the members."""
    method = getattr(set, name)

    def change(self: Any, *others: Any) -> None:
        members = set(self)
        method(members, *others)
        self._keep(members)

    return change


def _changing_large(name: str) -> Callable[..., Any]:
    """Return a method of sets that changes the members of a large set."""
    method = getattr(set, name)

    def change(self: Any, *others: Any) -> Any:
        return method(_real(self), *others)

    return change


def with_left(
    operate: Callable[[Any, Any], Any], kind: type = set
) -> Callable[..., Any]:
    """Return the method for an operator, or a comparison, with this set on the left.

    `kind` is what this set is like: a set or a frozenset.
    """

    def left(self: Any, other: Any) -> Any:
        return operate(kind(self), _plain(other))

    return left


def reflected(name: str) -> Callable[..., Any]:
    """Return the method for an operator with this set on the right."""
    operate = getattr(operator, f"__{name}__")
    change = getattr(operator, f"__i{name}__")

    def right(self: Any, other: Any) -> Any:
        if isinstance(other, set) and _is_in_place():
            return change(other, set(self))
        return operate(_plain(other), set(self))

    return right


def _in_place(name: str) -> Callable[..., Any]:
    """Return the method for ``a |= b`` with this set on the left."""

    def change(self: Any, other: Any) -> Any:
        if not isinstance(other, (set, frozenset, SmallSet)):
            return NotImplemented  # a set changes for no other class
        getattr(self, name)(other)
        return self

    return change


for _name in ("issubset", "issuperset", "isdisjoint", "union", "intersection",
              "difference", "symmetric_difference", "copy"):  # fmt: skip
    setattr(SmallSet, _name, _asking(_name))
for _name in ("update", "intersection_update", "difference_update",
              "symmetric_difference_update"):  # fmt: skip
    setattr(SmallSet, _name, _changing(_name))
    setattr(LargeSet, _name, _changing_large(_name))
for _name in ("add", "discard", "remove", "pop", "clear"):
    setattr(LargeSet, _name, _changing_large(_name))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(SmallSet, f"__{_name}__", with_left(getattr(operator, _name)))
for _name, _method in (("or", "update"), ("and", "intersection_update"),
                       ("sub", "difference_update"),
                       ("xor", "symmetric_difference_update")):  # fmt: skip
    _operate = getattr(operator, f"__{_name}__")
    setattr(SmallSet, f"__{_name}__", with_left(_operate))
    setattr(SmallSet, f"__r{_name}__", reflected(_name))
    setattr(SmallSet, f"__i{_name}__", _in_place(_method))

MutableSet.register(SmallSet)
