"""Random graphs: keys, and what they depend on."""

from __future__ import annotations

import random
from typing import Any

from dask._task_spec import List, Task, TaskRef

PREFIXES = ["load", "sum", "mean", "store"]


def random_graph(
    seed: int, n: int, start: int, external: list[Any]
) -> tuple[dict[Any, list[Any]], list[Any]]:
    """Return the dependencies of new keys, and which of these a client wants.

    Some depend on one of the `external` keys.
    """
    shape = random.Random(seed)
    prefix = shape.choice(PREFIXES)
    graph: dict[Any, list[Any]] = {}
    for number in range(start + 1, start + n + 1):
        key: Any = f"{prefix}-{number}"
        if shape.random() < 0.5:
            # As a chunk of a collection: their keys are of one group.
            key = (f"{prefix}-{number - number % 20}", number)
        known = [*graph]
        if external and shape.random() < 0.3:
            known.append(shape.choice(external))
        graph[key] = shape.sample(known, min(len(known), shape.randint(0, 3)))
    last = [*graph][-1]
    return graph, [key for key in graph if key == last or shape.random() < 0.5]


def function(*args, **kwargs):
    """What all tasks do."""


def make_task(key, dependencies):
    """Return a task that has some of its dependencies among its own arguments."""
    first, *rest = [*map(TaskRef, dependencies)] or [None]
    options = {"rest": List(*rest)} if rest else {}
    return Task(key, function, first, **options)
