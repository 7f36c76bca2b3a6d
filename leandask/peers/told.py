"""What peers tell of themselves: equal parts are one object."""

from __future__ import annotations

from typing import Any, NoReturn
from weakref import WeakValueDictionary


class Told(dict[str, Any]):
    """A part of what several peers have told. It can't be changed."""

    __slots__ = ("__weakref__",)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            "leandask: other workers and clients have told the same, and share this "
            "dict; change a copy of it"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


#: By their items. An entry goes with the last peer that has it.
_known: WeakValueDictionary[tuple[Any, ...], Told] = WeakValueDictionary()


def shared(part: dict[str, Any]) -> dict[str, Any]:
    """Return the one dict that is equal to this; this one if that can't be found."""
    try:
        return _known.setdefault(tuple(part.items()), Told(part))
    except TypeError:  # a value can't be hashed
        return part


def share_parts(told: dict[str, Any]) -> None:
    """Replace the dicts in a dict by those that other peers have told, in place."""
    for name, part in told.items():
        if type(part) is dict:
            told[name] = shared(part)
