"""Versions: of leandask, and of what it stands on."""

from __future__ import annotations

import platform
from importlib.metadata import version

import dask
import distributed


def versions() -> dict[str, str]:
    """Return the versions that this process runs.

    Returns
    -------
    dict
        Of leandask, distributed, dask and python.
    """
    return {
        "leandask": version("leandask"),
        "distributed": distributed.__version__,
        "dask": dask.__version__,
        "python": platform.python_version(),
    }
