"""The commands that run a scheduler in a process of its own."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from distributed import Scheduler

#: Packages whose commands run a scheduler in a process of its own.
_COMMANDS = ("distributed", "leandask", "dask_mpi")


def is_own_process() -> bool:
    """``cli.dask_scheduler.main`` and others: whether such a command runs here.

    In any other process a scheduler is a part of something else: a notebook, a service.
    """
    context = click.get_current_context(silent=True)
    module = getattr(context and context.command.callback, "__module__", "")
    if module == "__main__":  # python -m distributed.cli.dask_spec
        module = getattr(sys.modules["__main__"].__spec__, "name", "")
    return module.partition(".")[0] in _COMMANDS


@contextmanager
def scheduler_factory(factory: Callable[..., Scheduler]) -> Iterator[None]:
    """``cli.dask_scheduler.Scheduler``: the command looks it up when it starts."""
    import distributed.cli.dask_scheduler as command  # only our command needs it

    module: Any = command
    original = module.Scheduler
    module.Scheduler = factory
    try:
        with warnings.catch_warnings():
            # Before 2026.6 upstream warns for every command whose name ends like this.
            warnings.filterwarnings("ignore", "dask-scheduler is deprecated")
            yield
    finally:
        module.Scheduler = original
