"""Backups: the files that were rotated out of a log, as PATH.1, PATH.2 and so on.

The ending of a compressed one comes last, so that other programs recognise it:
``log.jsonl.zst`` becomes ``log.jsonl.1.zst``.
"""

from __future__ import annotations

import os
from pathlib import Path

from leandask.settings.logpath import COMPRESSIONS, split_ending

#: Endings of backups: a log may have been plain, or compressed otherwise, before.
_ENDINGS = ("", *COMPRESSIONS)


def backup(path: Path, i: int) -> Path:
    """Return the name of the file that was rotated i rotations ago.

    Examples
    --------
    >>> backup(Path("log.jsonl"), 1).name, backup(Path("log.jsonl.zst"), 1).name
    ('log.jsonl.1', 'log.jsonl.1.zst')
    """
    stem, ending = split_ending(path.name)
    return path.with_name(f"{stem}.{i}{ending}")


def shift(path: Path, backups: int) -> None:
    """Rename a file to PATH.1, and each rotated file to the next number.

    Each file takes one call of the system, as readers must open all of them between two
    rotations.

    Raises
    ------
    OSError
        If a file can't be renamed. The file at the path is still there then.
    """
    if not backups:
        path.unlink(missing_ok=True)
        return
    folder = f"{path.parent}{os.sep}"
    stem, ending = split_ending(path.name)
    names = {name for name in os.listdir(folder) if name.startswith(stem)}
    # Only up to the first free number: a failed try must not move older files.
    last = 1
    while last < backups and names & {f"{stem}.{last}{each}" for each in _ENDINGS}:
        last += 1
    for each in _ENDINGS:
        if (old := f"{stem}.{last}{each}") in names:
            os.unlink(folder + old)
    for i in range(last, 1, -1):
        for each in _ENDINGS:
            if (name := f"{stem}.{i - 1}{each}") in names:
                os.rename(folder + name, f"{folder}{stem}.{i}{each}")
    os.rename(path, f"{folder}{stem}.1{ending}")
