"""Upstream's functions that cache their results by key or by host."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import dask.utils
import distributed.utils

#: Modules that import the functions below by name.
_USERS = [
    *("scheduler", "utils", "profile", "comm.tcp", "comm.ucx"),
    *(f"diagnostics.{name}" for name in ("progress_stream", "task_stream")),
    *(f"dashboard.components.{name}" for name in ("scheduler", "nvml", "rmm")),
]

#: Upstream's functions that cache their result by key, by name. Each new task calls
#: ``scheduler.key_split``, and ``utils.key_split`` in ``key_split_group``. Pages call
#: ``utils.url_escape`` and, with names of functions, ``utils.color_of``, which `toolz`
#: memoizes: here it has a cache that knows its size.
KEY_CACHES: dict[str, Any] = {
    "key_split": dask.utils.key_split,
    "url_escape": distributed.utils.url_escape,
    "color_of": lru_cache(None)(distributed.utils.color_of.__wrapped__),
}

#: Upstream's ``utils.ensure_ip``, which `toolz` memoizes: each comm that opens and each
#: heartbeat asks it for the address of a host. A host that is not cached blocks the
#: event loop until DNS answers, so this has to hold all hosts of a cluster.
HOSTS: Any = lru_cache(10_000)(distributed.utils.ensure_ip.__wrapped__)


def get_key_cache(name: str) -> Any:
    """One of :data:`KEY_CACHES`, as ``distributed.utils`` has it now."""
    present = getattr(distributed.utils, name)
    return present if hasattr(present, "cache_info") else KEY_CACHES[name]


def set_key_cache(name: str, function: Callable[[Any], str]) -> None:
    """Replace one of these functions in the modules that have imported it."""
    for module_name in _USERS:
        module = sys.modules.get(f"distributed.{module_name}")
        for attribute in (name, f"ts_{name}"):  # one page has ``ts_color_of``
            if hasattr(module, attribute):
                setattr(module, attribute, function)
