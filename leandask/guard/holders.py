"""Holders: what holds a scheduler's memory, the largest first."""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from dask.utils import format_bytes

from leandask.guard.present import Start, present_of
from leandask.histories import bounds
from leandask.records.text import name_of

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskGroup

#: Holders, and clients, that are named.
NAMED = 10


class Holder(NamedTuple):
    """Something that holds memory."""

    number: int
    #: In the plural.
    name: str
    #: Estimated.
    nbytes: int


class Held(NamedTuple):
    """What a scheduler holds."""

    #: The largest ones, the largest first.
    holders: list[Holder]
    #: Tasks by state.
    states: dict[str, int]
    #: Tasks that clients want, by client: the first ones.
    wanted: dict[str, int]


def look(scheduler: Scheduler, start: Start) -> Held:
    """Find what holds the memory: about 10 ms."""
    present = present_of(scheduler, start)
    live = present.pop("tasks")
    each = live["bytes"] / max(live["count"], 1)
    prefixes: Counter[str] = Counter()
    for group in scheduler.task_groups.values():
        if group.prefix is not None:
            prefixes[group.prefix.name] += sum(_count_live(group).values())
    holders = [
        Holder(count, f"tasks of {name_of(name)}", int(count * each))
        for name, count in prefixes.most_common(NAMED)
    ]
    holders += [
        Holder(what["count"], name, what["bytes"]) for name, what in present.items()
    ]
    for name, holding in bounds.look(scheduler).items():
        # The bytes of events are those of the events.
        if name != "event-bytes" and (nbytes := holding["bytes"]):
            holders.append(Holder(holding["kept"], f"entries of {name}", nbytes))
    wants = Counter(
        {name_of(c.client_key): len(c.wants_what) for c in scheduler.clients.values()}
    )
    return Held(
        sorted(holders, key=attrgetter("nbytes"), reverse=True)[:NAMED],
        dict(count_states(scheduler)),
        dict(wants.most_common(NAMED)),
    )


def count_states(scheduler: Scheduler) -> Counter[str]:
    """Count the tasks in each state that any has.

    Upstream counts them by group: no task is looked at.
    """
    states: Counter[str] = Counter()
    for group in scheduler.task_groups.values():
        states.update(_count_live(group))
    return states


def _count_live(group: TaskGroup) -> dict[str, int]:
    return {s: n for s, n in group.states.items() if n and s != "forgotten"}


def describe(holders: list[Holder]) -> list[str]:
    """Say what each of them is."""
    return [f"{h.number:,} {h.name}, about {format_bytes(h.nbytes)}" for h in holders]
