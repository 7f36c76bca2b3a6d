"""Names of the files of an event log: to which log each belongs, and where in it."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Endings of the logs that are found in a folder.
ENDINGS = (".jsonl", ".ndjson", ".json", ".log")

#: A name may have line breaks.
_ROTATED = re.compile(
    r"(?P<base>.+?)(?:[.-](?P<number>[0-9]+))?(?P<gz>\.gz)?", re.DOTALL
)


class Place(NamedTuple):
    """The place of a file in the order of its log. The oldest file is the smallest."""

    #: 0 for a file with a date, 1 for one with a number, 2 for the one written to.
    kind: int
    #: The date; or the negative number, as a newer file has a smaller number.
    number: int
    #: The name without ``.gz``: a file that is being compressed exists twice.
    name: str


def place_of(name: str, base: str | None = None) -> tuple[str, Place] | None:
    """Return the log to which a file belongs, by the file that is written to.

    Parameters
    ----------
    name : str
        Name of the file.
    base : str, optional
        Name of the file that is written to. By default it must end as logs do.

    Returns
    -------
    tuple of str and Place, or None
        Name of the file that is written to, and the place; None if it is no file of
        the log, or of any.

    Examples
    --------
    >>> place_of("log.jsonl.2.gz")
    ('log.jsonl', Place(kind=1, number=-2, name='log.jsonl.2'))
    >>> place_of("notes.txt")
    """
    if base is not None and not name.startswith(base):
        return None  # most files of a folder of many logs
    match = _ROTATED.fullmatch(name)
    if match is None or match["number"] is None or name == base:
        found, place = name, Place(2, 0, name)
    else:
        number = int(match["number"])
        kind, order = (0, number) if len(match["number"]) >= 6 else (1, -number)
        found, place = match["base"], Place(kind, order, name.removesuffix(".gz"))
    if base is not None:
        return (found, place) if found == base else None
    return (found, place) if match and match["base"].endswith(ENDINGS) else None
