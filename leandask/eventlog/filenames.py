"""Names of the files of an event log: to which log each belongs, and where in it."""

from __future__ import annotations

import re
from typing import NamedTuple

from leandask.settings.logpath import COMPRESSIONS, split_ending

#: Endings of the logs that are found in a folder.
ENDINGS = (".jsonl", ".ndjson", ".json", ".log")

#: A name may have line breaks. logrotate adds its number or date at the end, and may
#: then gzip the file.
_COMPRESSED = "|".join(map(re.escape, COMPRESSIONS))
_ROTATED = re.compile(
    rf"(?P<stem>.+?)(?:{_COMPRESSED})?(?:[.-](?P<number>[0-9]+))?(?:{_COMPRESSED})?",
    re.DOTALL,
)


class Place(NamedTuple):
    """The place of a file in the order of its log. The oldest file is the smallest."""

    #: 0 for a file with a date, 1 for one with a number, 2 for the one written to.
    kind: int
    #: The date; or the negative number, as a newer file has a smaller number.
    number: int
    #: The name without ``.gz`` or ``.zst``.
    name: str


def place_of(name: str, base: str | None = None) -> tuple[str, Place] | None:
    """Return the log to which a file belongs, and its place there.

    The files of a log have one stem, however each is compressed: that may have changed
    between two runs.

    Parameters
    ----------
    name : str
        Name of the file.
    base : str, optional
        Name of the file that is written to. By default its stem must end as logs do.

    Returns
    -------
    tuple of str and Place, or None
        Name of the log without the ending of a compressed file, and the place; None if
        it is no file of the log, or of any.

    Examples
    --------
    >>> place_of("log.jsonl.2.gz")
    ('log.jsonl', Place(kind=1, number=-2, name='log.jsonl.2'))
    >>> place_of("log.jsonl.zst")
    ('log.jsonl', Place(kind=2, number=0, name='log.jsonl'))
    >>> place_of("notes.txt")
    """
    plain = split_ending(name)[0]
    stem = None if base is None else split_ending(base)[0]
    if stem is not None and not name.startswith(stem):
        return None  # most files of a folder of many logs
    if plain == stem:
        return stem, Place(2, 0, plain)
    match = _ROTATED.fullmatch(name)
    if match is None:
        return None
    found, number = match["stem"], match["number"]
    if number is None:
        place = Place(2, 0, plain)
    elif len(number) >= 6:
        place = Place(0, int(number), plain)
    else:
        place = Place(1, -int(number), plain)
    if stem is not None:
        return (found, place) if found == stem else None
    return (found, place) if found.endswith(ENDINGS) else None


def is_numbered(name: str) -> bool:
    """Whether a name ends as that of a rotated file, with a number or a date.

    Examples
    --------
    >>> is_numbered("log.jsonl.1"), is_numbered("log.jsonl")
    (True, False)
    """
    match = _ROTATED.fullmatch(name)
    return match is not None and match["number"] is not None
