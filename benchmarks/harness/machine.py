"""The machine and the releases that a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def machine() -> dict[str, str]:
    """Return versions and number of processors, to print with the figures."""
    packages = ("leandask", "distributed", "dask")
    return {
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
        "system": platform.system(),
        **{name: version(name) for name in packages},
    }
