"""LogFiles: the files of an event log, open for reading, the oldest first."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from leandask.eventlog.filenames import ENDINGS, find, find_bases

#: Bytes that are read at once.
BLOCK = 256 * 1024
#: Longest line that is read, in bytes; ``leandask.stream.record-bytes`` is far below.
LONGEST_LINE = 16 * 2**20
#: Looks at a folder until none of its files was renamed meanwhile.
LOOKS = 100


class LogFile(NamedTuple):
    """A file of a log, open for reading: what becomes of its name does not matter."""

    #: Where it was found.
    path: Path
    #: The file as it lies on the disk.
    raw: BinaryIO
    #: Its lines: of a gzipped file, what is in it.
    lines: BinaryIO
    #: Of `raw`, in bytes.
    nbytes: int

    def blocks(self) -> Iterator[bytes]:
        """Give the lines in blocks that end where a line does.

        Yields
        ------
        bytes
            About 256 KiB. Only the last block may end within a line.

        Raises
        ------
        OSError, EOFError
            If the file can't be read, or a gzipped file is no such file.
        """
        rest = b""
        while block := self.lines.read(BLOCK):
            end = block.rfind(b"\n") + 1
            if end:
                yield rest + block[:end]
                rest = block[end:]
            elif len(rest) < LONGEST_LINE:
                rest += block
            # What is longer is no record: its end alone shows that it is none.
        if rest:
            yield rest


class LogFiles:
    """The files of one log, opened together, the oldest first.

    A log is a file with those that were rotated out of it: ``PATH.2.gz``, ``PATH.1``,
    ``PATH``, or with a date as logrotate's ``PATH-20261124``. All are opened at once,
    so that each record is read once, also where the scheduler rotates meanwhile.

    Parameters
    ----------
    paths : list of pathlib.Path
        As :func:`leandask.eventlog.filenames.find` gives them.

    Raises
    ------
    OSError
        If a file can't be opened.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._stack = ExitStack()
        try:
            #: The open files, oldest first.
            self.files = [self._open(path) for path in paths]
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> LogFiles:
        return self

    def __exit__(self, *args: object) -> None:
        self._stack.close()

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(file.nbytes for file in self.files)

    def _open(self, path: Path) -> LogFile:
        raw = self._stack.enter_context(path.open("rb"))
        lines: BinaryIO = raw
        if path.suffix == ".gz":
            gz = gzip.GzipFile(fileobj=raw, mode="rb")
            lines = cast(BinaryIO, self._stack.enter_context(gz))
        return LogFile(path, raw, lines, os.fstat(raw.fileno()).st_size)


def open_logs(path: str | os.PathLike[str]) -> Iterator[LogFiles]:
    """Open the logs at a path, one after the other.

    Parameters
    ----------
    path : str or os.PathLike
        A file, with those that were rotated out of it; or a folder of such files.

    Yields
    ------
    LogFiles
        Closed when the next one is asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no log in the folder.
    OSError
        If a file can't be opened.
    """
    for base in bases_of(Path(path)):
        with open_log(base) as files:
            yield files


def open_log(base: Path) -> LogFiles:
    """Open the files of a log, between two rotations.

    Parameters
    ----------
    base : pathlib.Path
        The file that is written to.

    Returns
    -------
    LogFiles

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError
        If a file can't be opened.
    """
    for _ in range(LOOKS):
        paths = find(base)
        try:
            files = LogFiles(paths)
        except FileNotFoundError:
            continue
        # The same names, then the same files: none was missed, none is there twice.
        if find(base) == paths and all(map(_is_in_place, files.files)):
            if files.files:
                return files
            raise FileNotFoundError(f"There is no log {base}")
        files.__exit__()
    raise OSError(f"The files of {base} are renamed all the time")


def _is_in_place(file: LogFile) -> bool:
    try:
        return os.path.samestat(os.stat(file.path), os.fstat(file.raw.fileno()))
    except FileNotFoundError:
        return False


def bases_of(path: Path) -> list[Path]:
    """Find the logs at a path.

    Parameters
    ----------
    path : pathlib.Path
        The file of a log that is written to, or a folder.

    Returns
    -------
    list of pathlib.Path
        The files that are or were written to. Those of a folder come by the time of
        their oldest record.

    Raises
    ------
    FileNotFoundError
        If there is no log in the folder.
    """
    if not path.is_dir():
        return [path]
    bases = find_bases(path)
    starts = {base: start for base in bases if (start := _start_of(base))}
    if not starts:
        raise FileNotFoundError(
            f"There is no log in the folder {path}: "
            f"no file of JSON lines named *{', *'.join(ENDINGS)}"
        )
    return sorted(starts, key=lambda base: (starts[base], base))


def _start_of(base: Path) -> bytes:
    """The first bytes of a log, which begin with a time; empty if it is none."""
    try:
        with open_log(base) as files:
            # logrotate makes empty files of a day without lines.
            start = next(
                filter(None, (file.lines.read(64) for file in files.files)), b""
            )
    except FileNotFoundError:  # removed meanwhile
        return b""
    except (OSError, EOFError, zlib.error):
        return b"{"  # a broken file is told of where it is read
    return start if start[:1] == b"{" else b""
