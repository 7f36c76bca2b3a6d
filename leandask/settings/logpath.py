"""The path of an event log: its rule, and its placeholders."""

from __future__ import annotations

import os
import re
import socket
import time
from string import Formatter
from typing import Any

from leandask.settings.rules import as_path

#: What may stand in braces in a path. ``{{`` is a brace.
PLACEHOLDERS = ("scheduler_id", "pid", "hostname", "start")
#: Longest value of a placeholder: a name of a file has 255 bytes on most systems.
LONGEST = 100


class UnusablePath(ValueError):
    """The path of an event log can't be written."""


def as_log_path(key: str, value: Any) -> str | None:
    """Return a path that :func:`fill` can fill in, or None.

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
    # log.1 and log.gz are rotated files for those who read a folder of logs.
    if path.endswith(".gz") or (names and names[-1][0] is not None):
        raise ValueError(
            f"{key} must be a path that ends neither with .gz nor with a placeholder; "
            f"got {value!r}"
        )
    return path


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
