"""What a scheduler holds of long names, and what it reports; these run on it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any


def held_by_long_names(dask_scheduler: Any = None) -> int:
    """Add the characters of the long texts that any object refers to."""
    gc.collect()
    found = {}
    left = gc.get_objects()
    while left:
        obj = left.pop()
        # A dict does not tell its keys that are texts.
        for part in (*gc.get_referents(obj), *(obj if isinstance(obj, dict) else ())):
            if type(part) in (str, bytes) and len(part) > 50_000:
                found[id(part)] = len(part)
            elif type(part) in (dict, tuple) and not gc.is_tracked(part):
                left.append(part)  # of texts and numbers only
    return sum(found.values())


def n_rounds(dask_scheduler: Any = None) -> int:
    """Count the rounds of housekeeping."""
    return int(dask_scheduler.extensions["leandask"].housekeeping.rounds)


def held_as_reported(dask_scheduler: Any = None) -> int:
    """Add the bytes that all histories of leandask say they hold."""
    histories = dask_scheduler.extensions["leandask"].report()["histories"]
    return sum(h["bytes"] for name, h in histories.items() if name != "events")


def held_and_reported(dask_scheduler: Any = None) -> dict[str, tuple[int, int]]:
    """Empty each history; return the characters that went, and the reported bytes.

    Of the texts that other histories hold too, only the last one loses them.
    """
    look = dask_scheduler.extensions["leandask"].report
    compared = {}
    for name, empty in EMPTY.items():
        held, reported = held_by_long_names(), look()["histories"][name]["bytes"]
        empty(dask_scheduler)
        held -= held_by_long_names()
        compared[name] = held, reported - look()["histories"][name]["bytes"]
    return compared


def _empty_topics(s: Any) -> None:
    for name in list(s._broker.topics):
        s._broker.topics.pop(name)


def _empty_departed(s: Any) -> None:
    departed = s._ongoing_background_tasks
    departed.waiting.clear()
    departed.weight = 0


def _empty_spans(s: Any) -> None:
    s.computations.clear()
    s.extensions["spans"].resize(0, None, None)


def _empty_task_stream(s: Any) -> None:
    if "task-stream" in s.plugins:
        s.plugins["task-stream"].buffer.clear()


def _empty_prefixes(s: Any) -> None:
    s.task_prefixes.resize(0)
    s.cumulative_worker_metrics.clear()


#: What empties a history, by its name.
EMPTY: dict[str, Callable[[Any], object]] = {
    "departed": _empty_departed,
    "locks": lambda s: s.extensions["semaphores"].max_leases.resize(0),
    "task-stream": _empty_task_stream,
    "task-prefixes": _empty_prefixes,
    "spans": _empty_spans,
    "topics": _empty_topics,
}
