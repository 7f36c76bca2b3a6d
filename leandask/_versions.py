"""Which releases of `distributed` are supported: looked at before any is imported."""

from __future__ import annotations

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
