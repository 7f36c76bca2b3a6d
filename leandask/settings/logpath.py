"""The path of an event log: its rule, its placeholders, and how it is compressed."""

from __future__ import annotations

import os
import re
import socket
import stat
import time
from string import Formatter
from typing import Any

from leandask.settings.rules import as_path, is_url
from leandask.settings.run import as_archive

#: What may stand in braces in a path. ``{{`` is a brace.
PLACEHOLDERS = ("scheduler_id", "pid", "hostname", "start")
#: Compressions of a log, by the endings of its files.
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
#: Longest value of a placeholder: a name of a file has 255 bytes on most systems.
LONGEST = 100


class UnusablePath(ValueError):
    """The path of an event log can't be written."""


def as_log_path(key: str, value: Any) -> str | None:
    """Return a path that :func:`fill` can fill in, a URL of an archive, or None.

    Examples
    --------
    >>> as_log_path("leandask.event-log.path", "/logs/{scheduler_id}.jsonl")
    '/logs/{scheduler_id}.jsonl'
    >>> as_log_path("leandask.event-log.path", "/logs/{date}.jsonl")
    Traceback (most recent call last):
        ...
    ValueError: leandask.event-log.path must be a path whose placeholders are \
{scheduler_id}, {pid}, {hostname} or {start}, with {{ for a brace; \
got '/logs/{date}.jsonl'
    """
    if value is None:
        return None
    if isinstance(value, str) and is_url(os.path.expandvars(value)):
        return as_archive(key, value)
    path = as_path(key, value)
    try:
        names = [[name, *how] for _, name, *how in Formatter().parse(path)]
    except ValueError:  # a single brace
        names = [["", "", None]]
    for name, *how in names:
        if name is not None and (name not in PLACEHOLDERS or any(how)):
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS[:-1])
            raise ValueError(
                f"{key} must be a path whose placeholders are {known} or "
                f"{{{PLACEHOLDERS[-1]}}}, with {{{{ for a brace; got {value!r}"
            )
    # log.1 and log.1.gz are rotated files for those who read a folder of logs.
    if split_ending(path)[0].endswith(tuple(f"{{{each}}}" for each in PLACEHOLDERS)):
        raise ValueError(
            f"{key} must be a path that does not end with a placeholder, but for .gz "
            f"or .zst; got {value!r}"
        )
    return path


def split_ending(path: str) -> tuple[str, str]:
    """Split the ending of a compressed file off, if it has one.

    Examples
    --------
    >>> split_ending("log.jsonl.zst"), split_ending("log.jsonl")
    (('log.jsonl', '.zst'), ('log.jsonl', ''))
    """
    stem, ending = os.path.splitext(path)
    return (stem, ending) if ending in COMPRESSIONS else (path, "")


def as_compressed(path: str, compression: str) -> tuple[str, str]:
    """Return the path of a log, and its compression: "none", "gzip" or "zstd".

    The name of a file says how it is compressed, as other programs go by it. A path
    without such an ending gets it.

    Raises
    ------
    UnusablePath
        If the path says something else, or is no file.

    Examples
    --------
    >>> as_compressed("log.jsonl.zst", "auto"), as_compressed("log.jsonl", "gzip")
    (('log.jsonl.zst', 'zstd'), ('log.jsonl.gz', 'gzip'))
    >>> as_compressed("log.jsonl.zst", "none")
    Traceback (most recent call last):
        ...
    leandask.settings.logpath.UnusablePath: leandask.event-log.compression must be \
auto or zstd for a path that ends with .zst; got 'none'
    """
    ending = split_ending(path)[1]
    named = COMPRESSIONS.get(ending, "none")
    if compression == "auto":
        compression = named
    elif ending and compression != named:
        raise UnusablePath(
            f"leandask.event-log.compression must be auto or {named} for a path that "
            f"ends with {ending}; got {compression!r}"
        )
    if compression == "none":
        return path, compression
    if _is_stream(path):
        raise UnusablePath(
            "leandask.event-log.compression must be auto or none for a path that is "
            f"not a file, without the ending of one; got {compression!r} for {path!r}"
        )
    if not ending:
        path += next(e for e, name in COMPRESSIONS.items() if name == compression)
    return path, compression


def _is_stream(path: str) -> bool:
    """Whether a pipe, a device or a socket is at a path, such as /dev/stdout.

    That may also lead to a file, which the process has open for other things.
    """
    try:
        place = os.readlink(path) if os.path.islink(path) else path
        folder = os.path.realpath(os.path.dirname(place))
        if folder == "/proc" or folder.startswith("/proc/"):
            return True
        return not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path)
    except OSError:
        return False


def fill(path: str, scheduler_id: str) -> str:
    """Fill in the placeholders of a path that :func:`as_log_path` has checked.

    Examples
    --------
    >>> fill("/logs/{scheduler_id}-{{x}}.jsonl", "Scheduler-1/../2")
    '/logs/Scheduler-1-..-2-{x}.jsonl'
    """
    values = {
        "scheduler_id": scheduler_id,
        "pid": str(os.getpid()),
        "hostname": socket.gethostname(),
        "start": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    }
    return path.format(**{name: _safe(value) for name, value in values.items()})


def _safe(value: str) -> str:
    """Make a text part of a name of a file: it leads to no other folder."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", value)[:LONGEST].lstrip(".") or "-"
