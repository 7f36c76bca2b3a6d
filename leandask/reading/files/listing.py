"""Listing: the logs of a folder, and the files of each, as they were found."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from leandask.eventlog.filelock import hold_alone, standing_still
from leandask.eventlog.filenames import Place, is_numbered, place_of
from leandask.settings.logpath import split_ending

#: Seconds without a change after which nobody writes to a log any more.
QUIET_SECONDS = 60
#: Times that a folder is listed, until twice in a row a log has the same files. A file
#: that is renamed while its folder is listed may be missing from the list.
LISTINGS = 10

#: Name of a file, and what the folder says of its identity.
_Name = tuple[str, int]


class FoundFile(NamedTuple):
    """A file of a log, as it was found."""

    #: A text, as making a Path takes longer than looking at the file.
    name: str
    #: None if it can't be looked at.
    status: os.stat_result | None

    @property
    def path(self) -> Path:
        """Where it was found."""
        return Path(self.name)

    @property
    def identity(self) -> tuple[int, int] | None:
        """What it keeps when it is renamed; None if it can't be looked at."""
        return self.status and (self.status.st_dev, self.status.st_ino)

    @property
    def nbytes(self) -> int:
        """Bytes on the disk; 0 if it can't be looked at."""
        return self.status.st_size if self.status else 0


class Log(NamedTuple):
    """A log: the file that is written to, and the files rotated out of it."""

    #: The file that is written to. It may be missing. Of several, whose endings differ,
    #: it is the one that was written last.
    base: Path
    #: Those that exist, the oldest first.
    files: list[FoundFile]

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(file.nbytes for file in self.files)

    @property
    def last_written(self) -> float:
        """When it was last written, in seconds since the epoch.

        A file that can't be looked at may be written just now.
        """
        return max(
            file.status.st_mtime if file.status else time.time() for file in self.files
        )

    def may_be_written(self, now: float) -> bool:
        """Whether a process may be writing it now."""
        return self.last_written > now - QUIET_SECONDS or self.is_open_for_writing()

    def seen_again(self) -> Log | None:
        """Return it as its files are now; None if one was renamed or removed.

        Its folder is not listed, which takes long if it has thousands of logs.
        """
        names = [(os.path.basename(file.name), 0) for file in self.files]
        files = [*_look(self.base.parent, names)]
        if [file.identity for file in files] != [file.identity for file in self.files]:
            return None
        return self._replace(files=files)

    def is_open_for_writing(self) -> bool:
        """Whether a process of this machine has it open for writing, or may have."""
        if str(self.base) not in [file.name for file in self.files]:
            return False
        try:
            fd = os.open(self.base, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            return not hold_alone(fd)
        finally:
            os.close(fd)


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
    for log in _found(base.parent, base.name):
        return log
    raise FileNotFoundError(f"There is no log {base}: no regular file of this name")


def find_logs(folder: Path) -> list[Log]:
    """Return all logs of a folder, by the endings of their names.

    The folder is listed twice, whatever the number of its files: more often only if
    they are renamed meanwhile.
    """
    return _found(folder, None)


def _found(folder: Path, only: str | None) -> list[Log]:
    try:
        with standing_still(folder):
            return _settled(folder, only)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        if only is None:
            raise
        # The file itself may be readable; that its folder is not is reported.
        base = folder / only
        found = [FoundFile(str(folder), None), FoundFile(str(base), base.stat())]
        return [Log(base, found)]


def _settled(folder: Path, only: str | None) -> list[Log]:
    """Look at the files of each log, or of `only` one, between two equal listings."""
    files: dict[str, list[FoundFile]] = {}
    names: dict[str, list[_Name]] = {}
    for _ in range(LISTINGS):
        before, names = names, _listed(folder, only)
        changed = [base for base in names if names[base] != before.get(base)]
        for base in changed:
            files[base] = [*_look(folder, names[base])]
        if not changed:
            break
    return [
        _log_of(folder / (only or stem), files[stem]) for stem in names if files[stem]
    ]


def _log_of(base: Path, files: list[FoundFile]) -> Log:
    """Return a log whose files are known, in the order of their names.

    If its compression was changed, there are several files that are not rotated: the
    older ones have their place by the time when they were last written.
    """
    current = [file for file in files if _is_current(file, base)]
    if not current:
        return Log(base, files)
    *older, newest = sorted(current, key=_written_at)
    for file in older:
        files.remove(file)
        later = (i for i, other in enumerate(files) if _is_later(other, file))
        files.insert(next(later), file)
    return Log(newest.path, files)


def _is_current(file: FoundFile, base: Path) -> bool:
    placed = place_of(os.path.basename(file.name), base.name)
    return placed is not None and placed[1].kind == 2


def _is_later(file: FoundFile, than: FoundFile) -> bool:
    return _written_at(file) >= _written_at(than)


def _written_at(file: FoundFile) -> float:
    return file.status.st_mtime if file.status else float("inf")


def _listed(folder: Path, only: str | None) -> dict[str, list[_Name]]:
    """Return the names of the files of each log, the oldest first.

    It takes a tenth of the time of looking at each file: a scheduler may rename them
    many times per second.
    """
    logs: dict[str, list[tuple[Place, _Name]]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if (placed := place_of(entry.name, only)) is not None:
                base, place = placed
                name = entry.name, entry.inode()
                logs.setdefault(base, []).append((place, name))
    return {base: [name for _, name in sorted(placed)] for base, placed in logs.items()}


def _look(folder: Path, names: list[_Name]) -> Iterator[FoundFile]:
    """Yield the files that exist under some names, if they are regular files.

    Only these are read: reading a FIFO, a socket or a device could wait for ever.
    """
    found = {name for name, _ in names}
    for name, _ in names:
        plain, ending = split_ending(name)
        if ending == ".gz" and plain in found and is_numbered(plain):
            continue  # being gzipped: it still exists plain
        path = os.path.join(folder, name)
        try:
            status = os.stat(path)
        except FileNotFoundError:  # removed, or a symbolic link that leads nowhere
            continue
        except OSError:  # it is reported when it is opened
            yield FoundFile(path, None)
        else:
            if stat.S_ISREG(status.st_mode):
                yield FoundFile(path, status)
