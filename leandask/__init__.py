"""A drop-in for Dask's scheduler whose memory stays flat.

A record goes through these folders, each of which imports only the ones before it:

- ``settings``: what a user may set;
- ``records``: what leaves the scheduler, on its way to logging;
- ``eventlog``: the file that records are written to;
- ``reading``: that file, read back.

What a scheduler holds is in these, which import ``settings`` and ``records``:

- ``histories``: the bounded histories, with one entry for each in ``histories.bounds``;
- ``tasks``: live tasks, made small as they come in;
- ``peers``: what it holds of each worker and client, small;
- ``housekeeping``: rounds that forget what nothing reports as gone;
- ``guard``: takes in the graphs that fit below the memory limit, and no others.

``serving`` answers for a live scheduler, ``historyserver`` shows all that left a log,
and ``cli`` has the commands. ``extension`` puts all of this into a scheduler.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from leandask import _versions
from leandask.settings import config as config  # registers the defaults

if TYPE_CHECKING:
    from leandask.cluster import LeanCluster, LeanSpecMixin
    from leandask.eventlog.formatter import JSONFormatter
    from leandask.eventlog.sink import RotatingFileSink
    from leandask.historyserver.client import History
    from leandask.reading.reader import LogReader
    from leandask.records.stream import RecordStream
    from leandask.scheduler import LeanScheduler, install
    from leandask.serving.client import (
        get_history,
        get_report,
        give_back,
        set_memory,
        set_retention,
    )
    from leandask.settings.retention import Retention

__version__ = version("leandask")
_versions.check_version()

__all__ = [
    "History",
    "JSONFormatter",
    "LeanCluster",
    "LeanScheduler",
    "LeanSpecMixin",
    "LogReader",
    "RecordStream",
    "Retention",
    "RotatingFileSink",
    "get_history",
    "get_report",
    "give_back",
    "install",
    "set_memory",
    "set_retention",
]

#: The modules of the public names. Each is imported at the first use of a name.
_MODULES = {
    "History": "historyserver.client",
    "JSONFormatter": "eventlog.formatter",
    "LeanCluster": "cluster",
    "LeanScheduler": "scheduler",
    "LogReader": "reading.reader",
    "LeanSpecMixin": "cluster",
    "RecordStream": "records.stream",
    "Retention": "settings.retention",
    "RotatingFileSink": "eventlog.sink",
    "get_history": "serving.client",
    "get_report": "serving.client",
    "give_back": "serving.client",
    "install": "scheduler",
    "set_memory": "serving.client",
    "set_retention": "serving.client",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"leandask.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
