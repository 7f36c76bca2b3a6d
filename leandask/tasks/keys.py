"""Keys: the few keys that a spec depends on, in the size of a tuple."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any


class Keys(Set[Any], tuple[Any, ...]):  # type: ignore[misc]  # a set's `==` and `<=`
    """A frozenset of few keys: 64 bytes for two, where a frozenset takes 224.

    It answers as a frozenset does and is pickled as one, so that a worker gets what it
    gets from upstream. It is made of keys that differ.
    """

    __slots__ = ()

    __contains__ = tuple.__contains__
    __iter__ = tuple.__iter__
    __len__ = tuple.__len__

    @classmethod
    def _from_iterable(cls, keys: Iterable[Any]) -> Any:
        """What operators return."""
        return frozenset(keys)

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return repr(frozenset(self))

    def __reduce__(self) -> Any:
        return frozenset, (tuple(self),)

    def __getattr__(self, name: str) -> Any:
        """The methods of a frozenset, such as ``union``. It has none that change it."""
        return getattr(frozenset(self), name)
