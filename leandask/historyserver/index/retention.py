"""Retention: removes the logs of old runs, if the user asks for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from leandask.eventlog.archive.segments import RUN
from leandask.eventlog.filenames import place_of
from leandask.historyserver.index.index import Index
from leandask.historyserver.index.places import filesystem
from leandask.reading.files.listing import find_log, find_logs
from leandask.settings.rules import is_url

#: Seconds that a log must not have changed to be removed, whatever its records say.
UNCHANGED_SECONDS = 60.0


class Keep(NamedTuple):
    """What is kept of all runs; None keeps all."""

    #: Seconds since their end.
    seconds: float | None = None
    #: The newest so many.
    runs: int | None = None
    #: The newest, until their logs have so many bytes.
    nbytes: int | None = None


class Old(NamedTuple):
    """A log that is removed with its runs."""

    path: str
    is_archive: bool
    n_runs: int
    nbytes: int
    #: End of its newest run, in seconds since the epoch.
    ended: float


def find_old(index: Index, keep: Keep) -> Iterator[Old]:
    """Yield the logs that are not kept: never one with a run that goes on."""
    with index.connected() as db:
        rows = db.execute(
            "SELECT place, COUNT(*) AS n, MAX(COALESCE(ended, updated, 0)) AS ended,"
            " SUM(state = 'running') AS n_running, MAX(counts = '') AS is_archive,"
            " places.nbytes AS nbytes FROM runs JOIN places ON places.path = place"
            " GROUP BY place ORDER BY n_running > 0 DESC, ended DESC"
        ).fetchall()
    oldest = None if keep.seconds is None else time.time() - keep.seconds
    n_runs = nbytes = 0
    for row in rows:
        n_runs, nbytes = n_runs + row["n"], nbytes + row["nbytes"]
        if row["n_running"]:
            continue
        if (
            (oldest is not None and row["ended"] < oldest)
            or (keep.runs is not None and n_runs > keep.runs)
            or (keep.nbytes is not None and nbytes > keep.nbytes)
        ):
            counts = row["n"], row["nbytes"], row["ended"]
            yield Old(row["place"], bool(row["is_archive"]), *counts)


def remove(old: Old) -> None:
    """Remove the files of a log, unless it is being written after all.

    Raises
    ------
    OSError
        If a file can't be removed.
    """
    if is_url(old.path):
        _remove_at_url(old)
    elif old.is_archive:
        names = [each for each in os.listdir(old.path) if _is_ours(each)]
        # Another scheduler may write to the folder.
        is_open = any(log.is_open_for_writing() for log in find_logs(Path(old.path)))
        if is_open or any(_is_new(os.path.join(old.path, name)) for name in names):
            return
        # The summary last, so that what is left of it is still one run.
        for name in sorted(names, key=RUN.__eq__):
            os.unlink(os.path.join(old.path, name))
        if not os.listdir(old.path):
            os.rmdir(old.path)
    else:
        log = find_log(Path(old.path))
        if log.is_open_for_writing() or any(_is_new(f.name) for f in log.files):
            return
        for file in log.files:
            os.unlink(file.name)


def _is_ours(name: str) -> bool:
    return name == RUN or place_of(name) is not None


def _is_new(path: str) -> bool:
    return os.stat(path).st_mtime > time.time() - UNCHANGED_SECONDS


def _remove_at_url(old: Old) -> None:
    fs, path = filesystem(old.path)
    parent, _, base = path.rpartition("/")
    folder: Any = path if old.is_archive else parent
    names = [name.rpartition("/")[2] for name in fs.ls(folder, detail=False)]
    if old.is_archive:
        names = sorted(filter(_is_ours, names), key=RUN.__eq__)
    else:
        names = [name for name in names if place_of(name, base) is not None]
    paths = [f"{folder}/{name}" for name in names]
    if any(_is_new_at_url(fs, path) for path in paths):
        return
    for path in paths:
        fs.rm_file(path)


def _is_new_at_url(fs: Any, path: str) -> bool:
    try:
        modified = fs.modified(path)
    except NotImplementedError:  # of a filesystem that does not tell it
        return False
    return bool(modified.timestamp() > time.time() - UNCHANGED_SECONDS)
