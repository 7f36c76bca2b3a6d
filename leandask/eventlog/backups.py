"""Backups: the files that were rotated out of a log, as PATH.1, PATH.2 and so on."""

from __future__ import annotations

import os
from pathlib import Path


def backup(path: Path, i: int) -> Path:
    """Return the name of the file that was rotated i rotations ago."""
    return path.with_name(f"{path.name}.{i}")


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
    names = {name for name in os.listdir(folder) if name.startswith(path.name)}
    # Only up to the first free number: a failed try must not move older files.
    last = 1
    while last < backups and names & {f"{path.name}.{last}", f"{path.name}.{last}.gz"}:
        last += 1
    for old in (f"{path.name}.{last}", f"{path.name}.{last}.gz"):
        if old in names:
            os.unlink(folder + old)
    for i in range(last, 1, -1):
        for suffix in ("", ".gz"):
            if (name := f"{path.name}.{i - 1}{suffix}") in names:
                os.rename(folder + name, f"{folder}{path.name}.{i}{suffix}")
    os.rename(path, f"{folder}{path.name}.1")
