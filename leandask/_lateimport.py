"""Imports of modules that a process may never use, made when they are used."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import LazyLoader
from types import ModuleType, SimpleNamespace
from typing import Any


class _Name:
    """Stands for a function or class of a package, until it is called."""

    def __init__(self, module: ModuleType, source: str, name: str) -> None:
        self.module, self.source, self.name = module, source, name

    def __mro_entries__(self, bases: tuple[Any, ...]) -> Any:
        raise TypeError(f"{self.name} is needed at once, as a base class")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # From now on the module has the names themselves, all of them.
        for name, value in vars(self.module).copy().items():
            if isinstance(value, _Name):
                source = importlib.import_module(value.source)
                setattr(self.module, name, getattr(source, value.name))
        source = importlib.import_module(self.source)
        return getattr(source, self.name)(*args, **kwargs)


class _Loader(SourceFileLoader):
    """Runs the source of a module, and imports a package later."""

    def __init__(self, name: str, path: str, package: str) -> None:
        super().__init__(name, path)
        self._package = package

    def exec_module(self, module: ModuleType) -> None:
        def import_later(
            name: str,
            globals: Any = None,
            locals: Any = None,
            fromlist: Sequence[str] = (),
            level: int = 0,
        ) -> Any:
            if name.partition(".")[0] == self._package and fromlist and not level:
                return SimpleNamespace(**{n: _Name(module, name, n) for n in fromlist})
            return __import__(name, globals, locals, fromlist, level)

        # The module's own builtins: no other module sees this import.
        own = {**vars(builtins), "__import__": import_later}
        vars(module)["__builtins__"] = own
        try:
            super().exec_module(module)
        except TypeError:  # a release that uses a name at once, as a base class
            own["__import__"] = __import__
            super().exec_module(module)
        own["__import__"] = __import__


class _Finder:
    """Finds some modules before Python does."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Be asked for modules first."""
        finder: Any = self
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)


class LazyModules(_Finder):
    """Finds modules that are loaded at the first access to an attribute.

    Each is the real module, to everyone who imports it.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module as Python does; None for any but these."""
        spec = PathFinder.find_spec(name, path) if name in self.names else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = LazyLoader(spec.loader)
        return spec


class LateImport(_Finder):
    """Finds one module, and lets it import one package when it is first called.

    The module must use what it imports from the package in the bodies of its functions
    only. No other module is affected.
    """

    def __init__(self, module: str, package: str) -> None:
        self.module, self.package = module, package

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module as Python does; None for any other module."""
        spec = PathFinder.find_spec(name, path) if name == self.module else None
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(name, spec.loader.path, self.package)
        return spec
