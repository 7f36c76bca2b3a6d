"""Names of the files of an event log: which files belong to a log, in which order."""

from __future__ import annotations

import re
from pathlib import Path

#: Endings of the logs that are found in a folder.
ENDINGS = (".jsonl", ".ndjson", ".json", ".log")

_ROTATED = re.compile(r"(?P<base>.+?)(?:[.-](?P<number>\d+))?(?P<gz>\.gz)?")


def find(base: Path) -> list[Path]:
    """Return the files of a log that exist, oldest first.

    `base` is the file that is written to. While a file is being compressed, it exists
    plain and gzipped: the plain one is returned.
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
    """The place of a file in the order of its log, or None if it belongs to another."""
    if name == base:
        return 2, 0
    match = _ROTATED.fullmatch(name)
    if match is None or match["base"] != base or match["number"] is None:
        return None
    number = int(match["number"])
    # A newer file has a greater date, but a smaller number.
    return (0, number) if len(match["number"]) >= 6 else (1, -number)


def find_bases(folder: Path) -> set[Path]:
    """Return the logs of a folder, each by the file that is written to.

    That file may be missing. Only the ending of its name shows that it is a log.
    """
    bases = set()
    for file in folder.iterdir():
        match = _ROTATED.fullmatch(file.name)
        if match and match["base"].endswith(ENDINGS) and file.is_file():
            bases.add(folder / match["base"] if match["number"] else file)
    return bases
