"""Names of the files of an event log: which of them are one log, and in which order."""

from __future__ import annotations

import re
from pathlib import Path

#: Endings of the logs that are looked for in a folder.
ENDINGS = (".jsonl", ".ndjson", ".json", ".log")

_ROTATED = re.compile(r"(?P<base>.+?)(?:[.-](?P<number>\d+))?(?P<gz>\.gz)?")


def find(base: Path) -> list[Path]:
    """Find the files of a log.

    Parameters
    ----------
    base : pathlib.Path
        The file that is written to. It may be missing where others are there.

    Returns
    -------
    list of pathlib.Path
        Oldest first, without one that was renamed meanwhile. Of a file that is there
        both as it was and gzipped, as it is while it is being compressed, the first.
    """
    found: dict[tuple[int, int], Path] = {}
    folder = base.parent
    if folder.is_dir():
        for path in sorted(folder.iterdir()):  # PATH.1 before PATH.1.gz
            place = _place(path.name, base.name)
            if place is not None and path.is_file():
                found.setdefault(place, path)
    return [found[place] for place in sorted(found)]


def _place(name: str, base: str) -> tuple[int, int] | None:
    """The place of a file among those of a log, or None if it is none of them."""
    if name == base:
        return 2, 0
    match = _ROTATED.fullmatch(name)
    if match is None or match["base"] != base or match["number"] is None:
        return None
    number = int(match["number"])
    # A date rises with time, a number falls.
    return (0, number) if len(match["number"]) >= 6 else (1, -number)


def find_bases(folder: Path) -> set[Path]:
    """Find the logs of a folder.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    set of pathlib.Path
        Of each log the file that is written to, which may be missing. That it is a log
        is told by its ending alone.
    """
    bases = set()
    for file in folder.iterdir():
        match = _ROTATED.fullmatch(file.name)
        if match and match["base"].endswith(ENDINGS) and file.is_file():
            bases.add(folder / match["base"] if match["number"] else file)
    return bases
