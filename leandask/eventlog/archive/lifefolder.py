"""LifeFolder: where the segments of one scheduler wait, until they are uploaded."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from leandask.eventlog.archive.segments import RUN, start_of
from leandask.eventlog.frames.frameappender import FrameAppender
from leandask.eventlog.target import refuse_planted
from leandask.settings.logpath import COMPRESSIONS, split_ending

#: Locked while the scheduler lives. A lock ends with its process.
LOCK = "lock"
#: The local log of a scheduler that has no other.
RECENT = "recent.jsonl"


class Segment(NamedTuple):
    """A segment that is complete, and waits."""

    path: Path
    nbytes: int

    @property
    def key(self) -> str:
        """Its place below the URL of the archive."""
        return f"{self.path.parent.name}/{self.path.name}"


class LifeFolder:
    """The folder of one scheduler's segments, held until :meth:`close`.

    Parameters
    ----------
    path : pathlib.Path
        It is made if it is missing, for its owner alone.

    Raises
    ------
    BlockingIOError
        If a living scheduler has it.
    OSError
        If it can't be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None
        #: Names of the segments that were there before.
        self._left: list[str] = []
        if path.exists() or not self._make():
            self._fd = _held(path / LOCK)
            names = os.listdir(path)
            self._left = sorted(n for n in names if start_of(n) is not None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}>"

    def _make(self) -> bool:
        """Make the folder; return False if it was made meanwhile.

        It gets its name once it is held: until then nobody takes it for left behind.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool = self.path.parent
        refuse_planted(spool, os.lstat(spool), os.stat(spool.parent))
        new = spool / f".{self.path.name}-{os.getpid()}"
        new.mkdir(mode=0o700)
        fd = _held(new / LOCK)
        try:
            new.rename(self.path)
        except OSError:
            os.close(fd)
            shutil.rmtree(new, ignore_errors=True)
            if self.path.exists():
                return False
            raise
        self._fd = fd
        return True

    def segments(self) -> Iterator[Segment]:
        """Yield the segments that a killed scheduler left, the oldest first, mended."""
        for name in self._left:
            path = self.path / name
            with contextlib.suppress(OSError, ImportError):
                # As it was left, if it can't be mended: readers say what is broken.
                mend(path)
            try:
                nbytes = path.stat().st_size
            except FileNotFoundError:  # somebody removed it
                continue
            if nbytes:
                yield Segment(path, nbytes)
            else:
                path.unlink(missing_ok=True)

    def write_run(self, run: dict[str, Any]) -> Path:
        """Write ``run.json``, for the next scheduler after a kill too."""
        path = self.path / RUN
        partial = path.with_suffix(".part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(partial, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(run, file, ensure_ascii=False)
        partial.rename(path)
        return path

    @property
    def run(self) -> Path | None:
        """The ``run.json`` that was written last, if any."""
        path = self.path / RUN
        return path if path.exists() else None

    def remove(self) -> None:
        """Remove the folder with all that is in it, and let go of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the folder, which then counts as left behind."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _held(lock: Path) -> int:
    """Lock a file for this process, and return its descriptor."""
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    except OSError:  # a file system without locks: its folder must not be shared
        pass
    return fd


def mend(path: Path) -> None:
    """Cut off the torn frame at the end of a segment whose writer was killed."""
    compression = COMPRESSIONS[split_ending(path.name)[1]]
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
    try:
        FrameAppender(compression, 0.0).begin(fd, True)
    finally:
        os.close(fd)


def left_behind(spool: Path, own: LifeFolder) -> Iterator[LifeFolder]:
    """Yield the folders of schedulers that live no more, held."""
    for name in sorted(os.listdir(spool)):
        path = spool / name
        # One that is being made begins with a dot.
        if path == own.path or name.startswith(".") or not (path / LOCK).is_file():
            continue
        with contextlib.suppress(OSError):
            yield LifeFolder(path)
