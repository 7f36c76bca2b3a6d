"""Keys: the few keys that a spec depends on, in the size of a tuple."""

from __future__ import annotations

import operator
from collections.abc import Set
from typing import Any

from leandask.tasks.smallset import reflected, with_left


class Keys(tuple[Any, ...]):
    """A frozenset of few keys: 64 bytes for two, where a frozenset takes 224.

    It answers as a frozenset does and is pickled as one, so that a worker gets what it
    gets from upstream. It is made of keys that differ.
    """

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return repr(frozenset(self))

    def __reduce__(self) -> Any:
        return frozenset, (tuple(self),)

    def __getattr__(self, name: str) -> Any:
        """The methods of a frozenset, such as ``union``. It has none that change it."""
        return getattr(frozenset(self), name)


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "or", "and", "sub", "xor"):
    _operate = getattr(operator, f"__{_name}__")
    setattr(Keys, f"__{_name}__", with_left(_operate, frozenset))
for _name in ("or", "and", "sub", "xor"):
    setattr(Keys, f"__r{_name}__", reflected(_name))

Set.register(Keys)
