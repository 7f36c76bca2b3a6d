"""Entry point of ``leandask-scheduler``: starts without what is not needed yet."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from leandask.cli.allocator import use_configured_allocator

#: Modules that a scheduler imports and may never use; in all they take 1.2 MB. The
#: first is for a log in colors, the second for HTML in errors, the last for JSON.
LAZY = ("curses", "xml.etree.ElementTree", "orjson")


@contextmanager
def deferred(name: str) -> Iterator[None]:
    """Make an optional package look as if it were not installed.

    Afterwards it can be imported as usual. A package that is already imported is left
    as it is.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # documented: its import fails
    try:
        yield
    finally:
        del sys.modules[name]


#: Held while a lazy module is loaded.
_loading = threading.RLock()


class LazyModule(ModuleType):
    """A module that is loaded at the first access to a name in it.

    Other threads wait until it is. With the one of ``importlib.util`` they find no
    names in it meanwhile, before Python 3.12.3.
    """

    def __getattribute__(self, name: str) -> Any:
        # Not by super(): its class is another one as soon as it is loaded.
        names = ModuleType.__getattribute__(self, "__dict__")
        with _loading:
            spec = names["__spec__"]
            if isinstance(spec.loader, LazyLoader):
                spec.loader = names["__loader__"] = spec.loader.loader
                spec.loader.exec_module(self)
                object.__setattr__(self, "__class__", ModuleType)
        return ModuleType.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)  # loads it, which would overwrite the value
        ModuleType.__setattr__(self, name, value)


class LazyLoader(Loader):
    """Has a module loaded by another loader later."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is."""
        module.__class__ = LazyModule


class LazyModules:
    """Finds modules that are loaded when they are first used.

    Each is the real module, to everyone who imports it.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Be asked for modules first."""
        finder: Any = self
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does; None for any but these."""
        spec = PathFinder.find_spec(name, path) if name in self.names else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = LazyLoader(spec.loader)
        return spec


def main() -> None:
    """Run ``leandask-scheduler``."""
    use_configured_allocator()
    # This loads plug-ins of other packages, which may need NumPy.
    importlib.import_module("dask.sizeof")
    # NumPy takes 11 MB. distributed.protocol.utils imports it to allocate buffers for
    # messages, and uses bytearrays where it is missing.
    with deferred("numpy"), LazyModules(*LAZY).installed():
        from leandask.cli.scheduler import main as command
    command()


if __name__ == "__main__":
    main()
