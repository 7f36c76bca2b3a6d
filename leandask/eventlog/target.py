"""Target: the file, pipe or device that an event log is written to."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

#: For what is there already. O_NONBLOCK is for pipes and terminals: opening one without
#: a reader fails, and a write to one that is full.
FLAGS = os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

_DESCRIPTOR = re.compile(r"/(?:dev|proc/(?P<pid>\d+)(?:/task/\d+)?)/fd/(?P<fd>\d+)")


class Target:
    """What an event log is written to.

    A symbolic link is followed once, when this is made. A new file is for its owner
    alone (mode 0600).

    In a folder that every user may write, such as /tmp, another user may have put
    something at the path. There the file, or the symbolic link to it, must belong to
    this user or to the owner of the folder, and a file must have no second name (a hard
    link). Elsewhere it may belong to anybody: volumes of containers and network file
    systems change owners.

    Raises
    ------
    OSError
        If the path is a symbolic link that another user may have put there.
    """

    #: Where it is. /dev/stdout and the like keep their names.
    path: Path
    #: Whether what was opened is a file. Nothing else is truncated, renamed or removed.
    is_regular: bool
    #: What other users may do to the file that was opened; "" if nothing.
    remark: str

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_regular = False
        self.remark = ""
        found = _followed(path)
        #: A descriptor of a process, such as /dev/stdout.
        self._descriptor = _DESCRIPTOR.fullmatch(str(found))
        if self._descriptor is None:
            self.path = found
        self._identity: tuple[int, int] | None = None

    def open(self) -> int:
        """Open it to append to it, and return the descriptor.

        Raises
        ------
        OSError
            If that is not possible, or another user may have put it there.
        """
        if self._descriptor is not None:
            self.is_regular = False
            if self._descriptor["pid"] in (None, str(os.getpid())):
                return os.dup(int(self._descriptor["fd"]))  # it shares its place
            return os.open(self.path, os.O_WRONLY | FLAGS & ~os.O_NOFOLLOW)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS, 0o600)
        except FileExistsError:
            fd = self._open_existing()
        status = os.fstat(fd)
        self.is_regular = stat.S_ISREG(status.st_mode)
        self._identity = status.st_dev, status.st_ino
        return fd

    def is_in_place(self, fd: int) -> bool:
        """Whether what is open is still at the path."""
        if self._descriptor is not None:
            return True
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(fd))
        except FileNotFoundError:
            return False

    def _open_existing(self) -> int:
        mode = os.lstat(self.path).st_mode
        if stat.S_ISLNK(mode):
            raise self._error(errno.ELOOP, "A symbolic link has taken its place")
        if stat.S_ISBLK(mode):
            raise self._error(errno.EINVAL, "A block device is no log")
        access = os.O_RDWR if stat.S_ISREG(mode) else os.O_WRONLY
        try:
            fd = os.open(self.path, access | FLAGS)
        except OSError as e:
            if e.errno == errno.ENXIO and stat.S_ISFIFO(mode):
                raise self._error(errno.ENXIO, "No process reads this FIFO") from None
            raise
        try:
            self._check(os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check(self, found: os.stat_result) -> None:
        """Refuse what another user may have put there, and note who can change it."""
        if (found.st_dev, found.st_ino) == self._identity:
            return  # a network file system may have given our own file to another user
        folder = os.stat(self.path.parent)
        is_file = stat.S_ISREG(found.st_mode)
        refuse_planted(self.path, found, folder)
        if is_file and _is_open_to_all(folder) and found.st_nlink > 1:
            raise self._error(
                errno.EPERM, "It has a second name, and every user may write its folder"
            )
        others = stat.S_IMODE(found.st_mode) & 0o007
        if is_file and found.st_uid not in (0, os.geteuid()):
            self.remark = f"belongs to user {found.st_uid}"
        elif is_file and others:
            self.remark = f"is open to every user (mode {found.st_mode & 0o777:04o})"

    def _error(self, number: int, text: str) -> OSError:
        return OSError(number, text, str(self.path))


def _followed(path: Path) -> Path:
    """Follow symbolic links, but not those of a process to its open files."""
    for _ in range(40):  # as many as Linux follows
        path = Path(os.path.realpath(path.parent)) / path.name
        if _DESCRIPTOR.fullmatch(str(path)):
            return path
        try:
            status = os.lstat(path)
        except OSError:  # it is reported when it is opened
            return path
        if not stat.S_ISLNK(status.st_mode):
            return path
        refuse_planted(path, status, os.stat(path.parent))
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def refuse_planted(path: Path, found: os.stat_result, folder: os.stat_result) -> None:
    """Refuse what another user may have put in a folder, as Linux can do in /tmp."""
    if _is_open_to_all(folder) and found.st_uid not in (os.geteuid(), folder.st_uid):
        text = f"It belongs to user {found.st_uid}, and every user may write its folder"
        raise OSError(errno.EPERM, text, str(path))


def _is_open_to_all(folder: os.stat_result) -> bool:
    return bool(folder.st_mode & stat.S_IWOTH)
