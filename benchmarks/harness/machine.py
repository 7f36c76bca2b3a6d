"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def machine() -> dict[str, str]:
    """Versions and processors, to be printed beside what was measured."""
    packages = ("leandask", "distributed", "dask")
    return {
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
        "system": platform.system(),
        **{name: version(name) for name in packages},
    }
