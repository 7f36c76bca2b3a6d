"""The entry of ``leandask-scheduler``: the command, without what it does not use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred(name: str) -> Iterator[None]:
    """Have a package look as if it were not installed, for the imports of others.

    Parameters
    ----------
    name : str
        A package that the others can do without. It is imported as ever by whoever
        needs it later, and left alone if it is imported already.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # as the import system asks
    try:
        yield
    finally:
        del sys.modules[name]


def main() -> None:
    """Run ``leandask-scheduler``."""
    # It loads plug-ins of other packages, which may need NumPy; it does not itself.
    importlib.import_module("dask.sizeof")
    # 11 MB. distributed.protocol.utils imports NumPy to allocate buffers for messages,
    # and allocates them as bytearrays without it.
    with deferred("numpy"):
        from leandask.cli.scheduler import main
    main()


if __name__ == "__main__":
    main()
