"""The process of the indexer: ``python -m leandask.historyserver.index.process``."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from leandask.historyserver.index.index import Index
from leandask.historyserver.index.indexing import Indexer
from leandask.historyserver.index.retention import Keep, find_old, remove
from leandask.records.text import printable

#: Part of the time that looking for new records may take.
SHARE = 0.2
#: Bytes that the process may take.
MEMORY = 512 * 2**20


def end_with_parent() -> None:
    """End this process when its stdin ends: its parent has ended, or gave it up."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True, name="wait for parent").start()


def limit_memory(nbytes: int) -> None:
    """Have the allocations of this process fail beyond a limit, where Linux can."""
    import resource  # not on every system

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (nbytes, nbytes))
    with suppress(OSError):  # if the machine is full, this is what should end
        Path("/proc/self/oom_score_adj").write_text("900")
    with suppress(OSError):
        os.nice(5)


def lock(path: Path, wait: bool = True) -> IO[bytes]:
    """Wait until no other process writes the index; the file holds it.

    Raises
    ------
    BlockingIOError
        If another one does, and this one is not to wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = open(f"{path}.lock", "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if is_held(path, file):
                return file
        except OSError:
            file.close()
            raise
        file.close()  # it was removed meanwhile: others lock another file


def is_held(path: Path, file: IO[bytes]) -> bool:
    """Whether a lock is still at its place, where others look for it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(f"{path}.lock"))
    except FileNotFoundError:
        return False


def end_unless_held(path: Path, file: IO[bytes]) -> None:
    """End this process if its lock was removed: another one may write the index.

    The server starts it again, and it waits for its turn.
    """
    if not is_held(path, file):
        name = printable(f"{path}.lock")
        sys.exit(f"leandask: {name} was removed; the indexer starts again")


def apply(indexer: Indexer, keep: Keep) -> None:
    """Remove what is not kept."""
    for old in [*find_old(indexer.index, keep)]:
        try:
            remove(old)
        except (OSError, ImportError) as e:
            indexer.report(old.path, f"{old.path} is not removed: {e}")


def main() -> None:
    """Keep the index up to date until the server ends."""
    given = json.loads(sys.argv[1])
    end_with_parent()
    limit_memory(MEMORY)
    path = Path(given["index"])
    keep, interval = Keep(*given["keep"]), given["interval"]
    with lock(path) as file:
        check = partial(end_unless_held, path, file)
        indexer = Indexer(Index(path), given["roots"], check)
        all_at = 0.0  # when all places are due, of which there may be thousands
        while True:
            start = time.monotonic()
            is_all, has_more = start >= all_at, False
            try:
                has_more = indexer.run_once() if is_all else indexer.follow()
                if is_all and any(bound is not None for bound in keep):
                    apply(indexer, keep)
            except (OSError, sqlite3.Error) as e:  # a full disk, most likely
                indexer.report(str(path), f"{path}: {e}")
            took = time.monotonic() - start
            if has_more:
                all_at = 0.0
                continue
            pause = interval / 2
            if is_all:
                all_at = start + max(interval, took / SHARE)
            else:
                pause = max(pause, took / SHARE - took)
            time.sleep(pause)


if __name__ == "__main__":
    main()
