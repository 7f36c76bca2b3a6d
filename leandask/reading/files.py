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
#: Attempts to open the files of a log while the scheduler renames them.
ATTEMPTS = 100


class LogFile(NamedTuple):
    """A file of a log, open for reading. It stays open when it is renamed."""

    #: Its name when it was opened.
    path: Path
    #: The file as it is on the disk.
    raw: BinaryIO
    #: Its lines, decompressed.
    lines: BinaryIO
    #: Bytes of `raw`.
    nbytes: int

    def blocks(self) -> Iterator[bytes]:
        """Yield the lines in blocks that end with a line.

        Yields
        ------
        bytes
            Approximately 256 KiB. Only the last block may end within a line.

        Raises
        ------
        OSError, EOFError
            If the file can't be read, or is named .gz and is not a gzipped file.
        """
        rest = b""
        while block := self.lines.read(BLOCK):
            end = block.rfind(b"\n") + 1
            if end:
                yield rest + block[:end]
                rest = block[end:]
            elif len(rest) < LONGEST_LINE:
                rest += block
            # A longer line is not a record. Its end is kept, which is no JSON either.
        if rest:
            yield rest


class LogFiles:
    """The files of one log, opened together, the oldest first.

    A log is a file with its rotated files: ``PATH.2.gz``, ``PATH.1``, ``PATH``, or with
    a date as logrotate's ``PATH-20261124``. All are opened at once, so that each record
    is read once, even if the scheduler rotates its log in the meantime.
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
        self.close()

    def close(self) -> None:
        """Close all files."""
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
        A file, read together with its rotated files; or a folder of such files.

    Yields
    ------
    LogFiles
        Closed before the next one is opened.

    Raises
    ------
    FileNotFoundError
        If the file does not exist, or the folder has no log.
    OSError
        If a file can't be opened.
    """
    for base in bases_of(Path(path)):
        with open_log(base) as files:
            yield files


def open_log(base: Path) -> LogFiles:
    """Open the current and the rotated files of one log.

    Raises
    ------
    FileNotFoundError
        If it has no file.
    OSError
        If a file can't be opened, or they are renamed all the time.
    """
    for _ in range(ATTEMPTS):
        paths = find(base)
        try:
            files = LogFiles(paths)
        except FileNotFoundError:
            continue
        # If the names still lead to the same files, none was missed or opened twice.
        if find(base) == paths and all(map(_is_in_place, files.files)):
            if files.files:
                return files
            raise FileNotFoundError(f"There is no log {base}")
        files.close()
    raise OSError(f"The files of {base} are renamed all the time")


def _is_in_place(file: LogFile) -> bool:
    try:
        return os.path.samestat(os.stat(file.path), os.fstat(file.raw.fileno()))
    except FileNotFoundError:
        return False


def bases_of(path: Path) -> list[Path]:
    """Return the path of each log: the given one, or those in a folder by their start.

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
    """Return the first bytes of a log, with its first time; b"" if it is not a log."""
    try:
        with open_log(base) as files:
            # logrotate leaves empty files for days without lines.
            start = next(
                filter(None, (file.lines.read(64) for file in files.files)), b""
            )
    except FileNotFoundError:  # removed after it was listed
        return b""
    except (OSError, EOFError, zlib.error):
        return b"{"  # a broken file is reported when it is read
    return start if start[:1] == b"{" else b""
