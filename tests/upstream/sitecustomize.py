"""Puts LeanScheduler in the place of distributed.Scheduler, in every process.

Python imports a module of this name at its start. With this folder in PYTHONPATH, the
processes that upstream's tests start have our class too.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder


class Finder(PathFinder):
    """Finds the package `distributed`, and replaces the class once it is executed."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname != "distributed":
            return None
        sys.meta_path.remove(cls)
        spec = super().find_spec(fullname, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                replace_class()

            spec.loader.exec_module = exec_module
        return spec


def replace_class() -> None:
    """Replace the class in all of upstream's modules that have imported it."""
    from distributed import Scheduler

    from leandask import LeanScheduler

    for name, module in [*sys.modules.items()]:
        if name.partition(".")[0] == "distributed":
            if getattr(module, "Scheduler", None) is Scheduler:
                module.Scheduler = LeanScheduler


sys.meta_path.insert(0, Finder)
