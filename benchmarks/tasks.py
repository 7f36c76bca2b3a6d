"""Tasks of the benchmarks.

The scheduler imports this module with the first of them: it must import nothing that a
scheduler does not import anyway.
"""

from __future__ import annotations

import time
from typing import Any


def increment(x: int, data: bytes = b"") -> int:
    """Return x + 1: a task that takes no time, and may have data in its spec."""
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


def set_limit(limit: int | None, dask_scheduler: Any = None) -> None:
    """Set leandask's memory limit, in MiB."""
    guard = dask_scheduler.extensions["leandask"].guard
    guard.set({"limit": None if limit is None else limit * 2**20})


def costs_of_graphs(dask_scheduler: Any = None) -> tuple[float, float]:
    """Return what leandask's guard expects: bytes of a task, and of a message's byte.

    It has learned half of the difference to what the last large graph took.
    """
    from leandask.guard.cost import TASK_BYTES

    graphs = dask_scheduler.stream_handlers["update-graph"].__self__
    return graphs.cost.learned * TASK_BYTES, graphs.message_cost.factor


def is_taking_in(dask_scheduler: Any = None) -> bool:
    """Whether a graph comes in."""
    return bool(dask_scheduler._active_graph_updates)


def estimate(dask_scheduler: Any = None) -> int:
    """Return the bytes that leandask estimates for tasks, workers and clients."""
    from leandask.guard.present import present_of

    extension = dask_scheduler.extensions.get("leandask")
    start = None if extension is None else extension.guard.start
    return sum(live["bytes"] for live in present_of(dask_scheduler, start).values())


async def lateness(seconds: float, dask_scheduler: Any = None) -> float:
    """Return the 99th percentile of how late the event loop is, in milliseconds."""
    import asyncio

    late = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        await asyncio.sleep(0.005)
        late.append(time.perf_counter() - begun - 0.005)
    return sorted(late)[len(late) * 99 // 100] * 1e3


def n_uploads(dask_scheduler: Any = None) -> int:
    """Count the segments that are in the archive."""
    archive = dask_scheduler.extensions["leandask"].report()["event_log"]["archive"]
    return archive["segments_uploaded"] if archive else 0


def settle(dask_scheduler: Any = None) -> None:
    """Collect garbage, and give free memory back to the system."""
    import ctypes
    import gc
    import sys

    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def watch_collections(dask_scheduler: Any = None) -> None:
    """Note how much CPU each collection of garbage takes, from now on."""
    import gc

    took: list[float] = []
    began = 0.0

    def note(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()
        else:
            took.append(time.thread_time() - began)

    gc.callbacks.append(note)
    dask_scheduler.collections = took


def collections_of(dask_scheduler: Any = None) -> tuple[float, float]:
    """Return the seconds of all collections since then, and of the longest."""
    took = dask_scheduler.collections
    return sum(took), max(took, default=0.0)


def stop_collecting(dask_scheduler: Any = None) -> None:
    """Stop the collection of garbage."""
    import gc

    gc.collect()
    gc.disable()
    gc.enable = gc.disable  # also for who would enable it again


def n_live_states(dask_scheduler: Any = None) -> int:
    """Count the states of tasks that are in memory, forgotten or not."""
    import gc

    return sum("TaskState" in type(obj).__name__ for obj in gc.get_objects())


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
