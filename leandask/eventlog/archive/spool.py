"""Spool: the folder on this machine in which the segments of an archive wait."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from leandask.eventlog.archive.bucket import shown
from leandask.settings import config
from leandask.settings.logpath import PLACEHOLDERS
from leandask.settings.rules import is_url


def spool_of(url: str, path: str | None) -> Path:
    """Return the folder of the segments of a bucket: the same one in each life.

    Examples
    --------
    >>> spool_of("s3://bucket/dask", "/logs/{pid}/log.jsonl").parent.as_posix()
    '/logs'
    """
    folder: str | None = config.read("event-log.archive-folder")
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", shown(url))[:60].strip("-.")
    name = f"leandask-archive-{name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    if folder is not None:
        return Path(folder).absolute() / name
    if path is not None and not is_url(path):
        # A pipe or a device has no folder of its own.
        below = Path(path).absolute().parent
        while any(f"{{{each}}}" in str(below) for each in PLACEHOLDERS):
            below = below.parent
        if not str(below).startswith(("/dev", "/proc")):
            return below / name
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(cache) and os.access(_existing(cache), os.W_OK):
        return Path(cache) / name
    # As in a container whose user has no home. Other users may have the folder, too.
    return Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"


def _existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path
