"""The supported releases of `distributed`, the versions in use, what may be missing.

The release is checked before `distributed` is imported.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from packaging.version import Version

#: Oldest supported release of `distributed`: the first with ``Scheduler._broker``.
OLDEST = "2024.8.0"


def check_version(installed: str | None = None) -> None:
    """Raise ImportError if a release of `distributed` is not supported.

    Parameters
    ----------
    installed : str, optional
        Omitted: the release that is installed.

    Raises
    ------
    ImportError

    Examples
    --------
    >>> check_version("2023.1.0")
    Traceback (most recent call last):
        ...
    ImportError: leandask needs distributed >= 2024.8.0; got 2023.1.0
    """
    if installed is None:
        installed = version("distributed")
    if Version(installed) < Version(OLDEST):
        raise ImportError(f"leandask needs distributed >= {OLDEST}; got {installed}")


@contextmanager
def needs(what: str, package: str) -> Iterator[None]:
    """Say what needs a package if an import inside fails.

    Raises
    ------
    ImportError

    Examples
    --------
    >>> with needs("to_pandas", "pandas"):
    ...     import no_such_pandas
    Traceback (most recent call last):
        ...
    ImportError: to_pandas needs pandas: pip install pandas
    """
    try:
        yield
    except ImportError as e:
        raise ImportError(f"{what} needs {package}: pip install {package}") from e


def versions() -> dict[str, str]:
    """Return the versions of leandask, distributed, dask and Python in use."""
    import dask
    import distributed

    return {
        "leandask": version("leandask"),
        "distributed": distributed.__version__,
        "dask": dask.__version__,
        "python": platform.python_version(),
    }
