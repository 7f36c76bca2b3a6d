"""MemoryLimit: how much memory the process may take, and who says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from leandask.settings.rules import as_bytes

#: Where Linux mounts the control groups, and says which are those of this process.
CGROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
#: Files with a limit in bytes: of cgroup v2, then v1. Above ``memory.high`` the kernel
#: slows a process down until it seems dead.
LIMIT_FILES = ("memory.max", "memory.high", "memory.limit_in_bytes")
#: Files with a line ``oom_kill N``: of cgroup v2, then v1.
KILL_FILES = ("memory.events", "memory.oom_control")


class MemoryLimit(NamedTuple):
    """A limit of the memory of this process."""

    nbytes: int
    #: What sets it, such as a file of a control group.
    source: str


def as_limit(key: str, value: Any) -> int | float | str | None:
    """Return a size in bytes, a part of what is found, ``"auto"``, or None.

    Examples
    --------
    >>> as_limit("leandask.memory.limit", "512 MiB")
    536870912
    >>> as_limit("leandask.memory.limit", 0.5)
    0.5
    >>> as_limit("leandask.memory.limit", 1.5)
    Traceback (most recent call last):
        ...
    ValueError: leandask.memory.limit must be auto, a size such as '512 MiB', a part \
such as 0.5, or null; got 1.5
    """
    if value is None or value == "auto":
        return None if value is None else "auto"
    if isinstance(value, float):
        if 0 < value <= 1:
            return value
    else:
        with contextlib.suppress(ValueError):
            return as_bytes(key, value)
    raise ValueError(
        f"{key} must be auto, a size such as '512 MiB', a part such as 0.5, or null; "
        f"got {value!r}"
    )


def get_limit(setting: int | float | str | None) -> MemoryLimit | None:
    """Return the limit that a checked setting stands for."""
    if setting is None:
        return None
    if isinstance(setting, int):
        return MemoryLimit(setting, "leandask.memory.limit")
    nbytes, source = find_limit()
    if isinstance(setting, float):
        return MemoryLimit(int(nbytes * setting), f"{setting:g} of {source}")
    return MemoryLimit(nbytes, source)


def find_limit() -> MemoryLimit:
    """Find the smallest limit: of the control groups, ``RLIMIT_RSS``, or the machine.

    Dask looks at the control group that a container has as its root. A process may be
    in one below, as systemd makes them.
    """
    from distributed.system import memory_limit  # imports distributed, before its time

    limits = [MemoryLimit(memory_limit(), "RLIMIT_RSS or the machine")]
    for folder in cgroup_folders():
        for name in LIMIT_FILES:
            with contextlib.suppress(OSError, ValueError):  # not there, or "max"
                if nbytes := int((folder / name).read_text()):
                    limits.append(MemoryLimit(nbytes, str(folder / name)))
    return min(limits, key=lambda limit: limit.nbytes)


def count_oom_kills() -> int | None:
    """Count the processes of this control group that were killed for memory.

    It counts since the group was made, which may be before this process: a container
    that is started again may get a new one. None where the system does not tell.
    """
    for folder in cgroup_folders():
        for name in KILL_FILES:
            with contextlib.suppress(OSError):
                for line in (folder / name).read_text().splitlines():
                    word, _, count = line.partition(" ")
                    if word == "oom_kill":
                        return int(count)
    return None


def cgroup_folders() -> Iterator[Path]:
    """Yield the folders of the control groups of this process, the innermost first."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUPS / "memory" if controllers else CGROUPS
        folder = root / path.strip("/")
        while folder.is_relative_to(root):
            yield folder
            folder = folder.parent
