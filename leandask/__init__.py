"""A drop-in for Dask's scheduler whose memory stays flat."""

from __future__ import annotations

from importlib.metadata import version

from leandask import config as config  # registers the defaults
from leandask.formatter import JSONFormatter
from leandask.retention import Retention
from leandask.scheduler import LeanScheduler, install
from leandask.sinks import RotatingFileSink
from leandask.stream import RecordStream

__version__ = version("leandask")

__all__ = [
    "JSONFormatter",
    "LeanScheduler",
    "RecordStream",
    "Retention",
    "RotatingFileSink",
    "install",
]
