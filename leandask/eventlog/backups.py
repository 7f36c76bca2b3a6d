"""Backups: the files that were rotated out of a log, as PATH.1, PATH.2 and so on."""

from __future__ import annotations

from pathlib import Path


def backup(path: Path, i: int, suffix: str = "") -> Path:
    """Return the name of a rotated file; 0 is the file that is written to."""
    return path.with_name(f"{path.name}.{i}{suffix}") if i else path


def shift(path: Path, backups: int) -> None:
    """Rename a file to PATH.1, and each rotated file to the next number.

    Raises
    ------
    OSError
        If a file can't be renamed. The file at the path is still there then.
    """
    if not backups:
        path.unlink(missing_ok=True)
    # Only up to the first free number: a failed try must not move older files.
    for i in range(_first_free(path, backups), 0, -1):
        for suffix in ("", ".gz") if i > 1 else ("",):
            source = backup(path, i - 1, suffix)
            if source.exists():
                for old in ("", ".gz"):
                    backup(path, i, old).unlink(missing_ok=True)
                source.rename(backup(path, i, suffix))


def _first_free(path: Path, backups: int) -> int:
    """Return the first number that no rotated file has, or else the last number."""
    for i in range(1, backups):
        if not any(backup(path, i, suffix).exists() for suffix in ("", ".gz")):
            return i
    return backups
