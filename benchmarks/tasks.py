"""Tasks of the benchmarks.

The scheduler imports this module with the first of them: it must import nothing that a
scheduler does not import anyway.
"""

from __future__ import annotations

import time
from typing import Any


def increment(x: int) -> int:
    """Return x + 1: a task that takes no time."""
    return x + 1


def pause(x: int) -> int:
    """Return x after 5 ms."""
    time.sleep(0.005)
    return x


def fail(x: int, depth: int = 40) -> None:
    """Raise an error of 3 kB with a traceback of 40 frames."""
    if depth > 1:
        fail(x, depth - 1)
    raise ValueError(f"{x} " * (3000 // len(f"{x} ")))


def n_tasks(dask_scheduler: Any = None) -> int:
    """Count the scheduler's tasks; runs on the scheduler, as the following do."""
    return len(dask_scheduler.tasks)


def n_transitions(dask_scheduler: Any = None) -> int:
    """Count the transitions that the scheduler has made since its start."""
    return int(dask_scheduler.transition_counter)


def n_in_memory(dask_scheduler: Any = None) -> int:
    """Count the tasks whose results are on workers."""
    groups = dask_scheduler.task_groups.values()
    return sum(group.states["memory"] for group in groups)


def n_peers(dask_scheduler: Any = None) -> int:
    """Count workers and clients."""
    return len(dask_scheduler.workers) + len(dask_scheduler.clients)


def settle(dask_scheduler: Any = None) -> None:
    """Collect garbage, and give free memory back to the system."""
    import ctypes
    import gc
    import sys

    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def n_pages(dask_scheduler: Any = None) -> int:
    """Count the pages that are open, or were closed some seconds ago.

    Without leandask's own functions: upstream's scheduler must not import leandask.
    """
    import sys

    bokeh = sys.modules.get("bokeh.server.tornado")
    applications = dask_scheduler.http_application.applications if bokeh else ()
    return sum(
        len(application.get_sessions(path))
        for application in applications
        if isinstance(application, bokeh.BokehTornado)  # type: ignore[union-attr]
        for path in application.app_paths
    )
