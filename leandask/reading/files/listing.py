"""Listing: the logs of a folder, and the files of each, as they were found."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from leandask.eventlog.filenames import Place, place_of

#: Times that a folder is listed, until twice in a row a log has the same files. A file
#: that is renamed while its folder is listed may be missing from the list.
LISTINGS = 10


class FoundFile(NamedTuple):
    """A file of a log, as it was found."""

    path: Path
    #: None if it can't be looked at.
    status: os.stat_result | None

    @property
    def identity(self) -> tuple[int, int] | None:
        """What it keeps when it is renamed; None if it can't be looked at."""
        return self.status and (self.status.st_dev, self.status.st_ino)


class Log(NamedTuple):
    """A log: the file that is written to, and the files rotated out of it."""

    #: The file that is written to. It may be missing.
    base: Path
    #: Those that exist, the oldest first.
    files: list[FoundFile]

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(file.status.st_size for file in self.files if file.status)

    @property
    def last_written(self) -> float:
        """When it was last written, in seconds since the epoch.

        A file that can't be looked at may be written just now.
        """
        return max(
            file.status.st_mtime if file.status else time.time() for file in self.files
        )


def find_log(base: Path) -> Log:
    """Return a log with its files.

    Parameters
    ----------
    base : pathlib.Path
        The file that is written to.

    Raises
    ------
    FileNotFoundError
        If it has no file.
    OSError
        If the folder can't be listed.
    """
    for log in _settled(base.parent, base.name):
        return log
    raise FileNotFoundError(f"There is no log {base}: no regular file of this name")


def find_logs(folder: Path) -> list[Log]:
    """Return all logs of a folder, by the endings of their names.

    The folder is listed twice, whatever the number of its files: more often only if
    they are renamed meanwhile.
    """
    return _settled(folder, None)


def _settled(folder: Path, only: str | None) -> list[Log]:
    """List a folder until no file was renamed in between, or give up."""
    now = _listed(folder, only)
    for _ in range(LISTINGS):
        before, now = now, _listed(folder, only)
        if all(_names(before.get(base)) == _names(now[base]) for base in now):
            break
    return [Log(folder / base, files) for base, files in now.items()]


def _names(files: list[FoundFile] | None) -> list[tuple[str, object]]:
    return [(file.path.name, file.identity) for file in files or ()]


def _listed(folder: Path, only: str | None) -> dict[str, list[FoundFile]]:
    """Return the files of each log, or of `only` one, by the file written to."""
    logs: dict[str, dict[Place, FoundFile]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if (placed := place_of(entry.name, only)) is not None:
                    _add(logs.setdefault(placed[0], {}), placed[1], folder, entry)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except PermissionError:
        if only is None:
            raise
        # The file itself may be readable; that its folder is not is reported.
        base = folder / only
        return {only: [FoundFile(folder, None), FoundFile(base, base.stat())]}
    return {base: [at[p] for p in sorted(at)] for base, at in logs.items() if at}


def _add(
    files: dict[Place, FoundFile], place: Place, folder: Path, entry: os.DirEntry[str]
) -> None:
    """Add an entry of a folder to the files of its log, if it is a regular file.

    Only these are read: reading a FIFO, a socket or a device could wait for ever.
    """
    if place in files and entry.name.endswith(".gz"):
        return  # being compressed: it still exists plain
    status = None
    try:
        status = entry.stat()
    except FileNotFoundError:  # removed, or a symbolic link that leads nowhere
        return
    except OSError:  # it is reported when it is opened
        pass
    if status is None or stat.S_ISREG(status.st_mode):
        files[place] = FoundFile(folder / entry.name, status)
