"""One order for what upstream does in the order of its sets.

Where two workers or tasks are equally good, upstream takes the one that comes first in
a set, which depends on hashes and on addresses in memory. Two schedulers can be
compared only if they break ties alike.
"""

from __future__ import annotations

from typing import Any

from distributed import scheduler
from distributed.active_memory_manager import ActiveMemoryManagerPolicy
from distributed.scheduler import TaskState, WorkerState

#: What is in sets from which upstream chooses.
ORDERED = (TaskState, WorkerState, ActiveMemoryManagerPolicy)
#: Modules that choose from sets, and the functions by which they do.
CHOOSING = {
    "distributed.scheduler": ("min",),
    "distributed.stealing": ("min", "list"),
    "distributed.active_memory_manager": ("min", "max", "list"),
}


def name_of(each: Any) -> str:
    """Return what tasks, workers and policies are sorted by."""
    if isinstance(each, WorkerState):
        return each.address
    if isinstance(each, ActiveMemoryManagerPolicy):
        return f"{type(each).__name__} {getattr(each, 'address', '')}"
    return str(each.key if isinstance(each, TaskState) else each)


def in_order(values: Any) -> list[Any]:
    """Return the members of a set in our order, unless they are in a list already."""
    values = values if isinstance(values, list) else [*values]
    if values and isinstance(values[0], ORDERED):
        return sorted(values, key=name_of)
    return values


class OrderedSet(set):
    """A set that is iterated in our order."""

    def __iter__(self):
        return iter(sorted(super().__iter__(), key=name_of))


class Unknown(dict):
    """For work stealing: tasks of unknown duration, by prefix.

    Upstream's sets keep a forgotten task, which then hides a new one of the same key:
    until when depends on the garbage collector.
    """

    def __setitem__(self, prefix, tasks):
        super().__setitem__(prefix, OneByOne())


class OneByOne(dict):
    """A set in which two tasks of one key are two."""

    def add(self, ts):
        self[id(ts)] = ts

    def __iter__(self):
        return iter(in_order(self.values()))


class Sampling:
    """Stands in for the module random: takes the first ones."""

    @staticmethod
    def sample(population, k):
        return in_order(list(population))[:k]


class OrderedTransitions:
    """For a scheduler: of the transitions that are due, the most urgent is first."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in ("idle_task_count", "running", "saturated", "replicated_tasks"):
            setattr(self, name, OrderedSet())

    def _transition(self, *args, **kwargs):
        recommendations, *msgs = super()._transition(*args, **kwargs)
        return self._in_order(recommendations), *msgs

    def _transitions(self, recommendations, *args):
        super()._transitions(self._in_order(recommendations), *args)

    def stimulus_cancel(self, keys, *args, **kwargs):
        # It calls itself with the dependents of each, in the order of a set.
        super().stimulus_cancel(sorted(keys, key=str), *args, **kwargs)

    def _in_order(self, recommendations):
        """Return the recommendations sorted: the last one is done first."""

        def urgency(key):
            task = self.tasks.get(key)
            return (task.priority if task else None) or (), str(key)

        ordered = sorted(recommendations, key=urgency, reverse=True)
        return {key: recommendations[key] for key in ordered}


def break_ties(monkeypatch) -> None:
    """Make the modules that choose from sets take the first one in our order."""
    builtins = {"min": min, "max": max}
    for module, names in CHOOSING.items():
        for name in names:
            if name == "list":
                ordered = _list
            else:
                ordered = _choosing(builtins[name])
            monkeypatch.setattr(f"{module}.{name}", ordered, raising=False)
    monkeypatch.setattr(scheduler, "random", Sampling)


def _list(values):
    return list(values) if isinstance(values, list) else in_order(values)


def _choosing(choose):
    def ordered(*args, **kwargs):
        if len(args) == 1:
            args = (in_order(list(args[0])),)
        return choose(*args, **kwargs)

    return ordered
