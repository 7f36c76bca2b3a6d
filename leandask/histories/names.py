"""Names: what long ones weigh, and how they are cut where only a reader needs them.

Keys, prefixes, spans, topics, locks and types may have names of any length. The
documented size of an entry includes short ones. What is longer counts on top, so that a
history of few entries with long names takes no more than one of many with short names.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Any, NamedTuple

from leandask.settings.budget import COSTS

if TYPE_CHECKING:
    from leandask.settings.retention import Retention

#: Characters of a name that the size of an entry includes, and bytes of such a text.
INCLUDED, INCLUDED_BYTES = 79, 128
#: Parts of a tuple that the size of an entry includes, and bytes of a further one.
PARTS, PART_BYTES = 8, 40
#: Characters of a name that a history keeps.
LONGEST = 2048
#: End of a name that was cut. The character for it would double the size of the text.
MARK = "..."


class Limit(NamedTuple):
    """Bytes that the entries of a history may take together, with their names."""

    #: Bytes of all entries.
    nbytes: int
    #: Bytes of an entry without what its names weigh.
    each: int

    @classmethod
    def of(cls, bounds: Retention, name: str) -> Limit | None:
        """Return the limit of a history by the name of its bound."""
        nbytes = bounds.nbytes(name)
        return None if nbytes is None else cls(nbytes, COSTS[name].nbytes)

    def is_exceeded(self, kept: int, weight: int) -> bool:
        """Whether `kept` entries, whose names have a `weight`, take more."""
        return kept * self.each + weight > self.nbytes


def is_beyond(kept: int, weight: int, maxlen: int | None, limit: Limit | None) -> bool:
    """Whether a history keeps more entries, or more bytes, than its bounds allow."""
    if maxlen is not None and kept > maxlen:
        return True
    return limit is not None and limit.is_exceeded(kept, weight)


def weigh(name: Any) -> int:
    """Return the bytes of a name beyond those that the size of an entry includes.

    Examples
    --------
    >>> weigh("inc-123"), weigh(("x-1", 0)), weigh("x" * 1000), weigh(("x" * 1000, 0))
    (0, 0, 921, 921)
    """
    kind = type(name)
    if kind is str:
        return 0 if len(name) <= INCLUDED else getsizeof(name) - INCLUDED_BYTES
    if not isinstance(name, tuple):
        is_text = isinstance(name, (str, bytes))
        return max(getsizeof(name) - INCLUDED_BYTES, 0) if is_text else 0
    weight = 0
    for part in name:
        kind = type(part)
        # Most parts are numbers, and texts that are short.
        if kind is not int and (kind is not str or len(part) > INCLUDED):
            weight += weigh(part)
    if len(name) > PARTS:
        weight += PART_BYTES * (len(name) - PARTS)
    return weight


def cut(name: Any) -> Any:
    """Return a name, or its head if it is long.

    Examples
    --------
    >>> cut("x"), len(cut("x" * 100_000)), cut(("x", 0))
    ('x', 2051, ('x', 0))
    >>> [len(part) for part in cut(("x" * 100_000, "y" * 100_000, 0))]
    [2051, 3]
    """
    if weigh(name) <= LONGEST:
        return name
    if isinstance(name, str):
        return name[:LONGEST] + MARK if len(name) > LONGEST else name
    if isinstance(name, bytes):
        return name[:LONGEST]
    parts, left = [], LONGEST
    for part in name:
        if left <= 0:
            parts.append(MARK)
            break
        parts.append(cut(part))
        left -= PART_BYTES + weigh(part)
    return tuple(parts)
