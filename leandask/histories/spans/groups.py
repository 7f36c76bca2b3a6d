"""Groups of tasks: what spans and computations keep of those that have finished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leandask import _compat
from leandask.histories.names import LONGEST, cut, weigh
from leandask.histories.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from distributed import Scheduler
    from distributed.scheduler import TaskGroup

#: Finished groups of tasks that a span or computation keeps, bytes of each but the
#: first, and of a prefix of theirs that the scheduler has evicted.
GROUPS_KEPT, GROUP_BYTES, PREFIX_BYTES = 20, 1300, 1300
#: Types of results that a group keeps by name, and bytes of each but the first.
TYPES_KEPT, TYPE_BYTES = 100, 80
#: Bytes of code that a span or computation keeps, of what its graphs say of their
#: collections, and of annotations.
CODE_BYTES = 64 * 1024
#: Name of the types beyond these, and of those with very long names.
OTHER_TYPES = "other types"


def fold_dead_groups(
    groups: set[TaskGroup], scheduler: Scheduler, maxlen: int = GROUPS_KEPT
) -> None:
    """Replace the dead groups that stopped first by one group with their sums.

    A group is dead when it has no task of the scheduler. `maxlen` of them stay, with
    the heads of long names.
    """
    live = scheduler.task_groups
    dead = [tg for tg in groups if live.get(tg.name) is not tg]
    for group in dead:
        shorten_group(group, scheduler)
    if len(dead) > maxlen + 1:
        dead.sort(key=lambda tg: tg.stop)
        surplus = dead[: len(dead) - maxlen]
        groups.difference_update(surplus)
        total = _compat.fold_groups(surplus)
        fold_types(total)
        groups.add(total)


def is_live(groups: Iterable[TaskGroup], scheduler: Scheduler) -> bool:
    """Whether any group has a task of the scheduler."""
    live = scheduler.task_groups
    return any(live.get(tg.name) is tg for tg in groups)


def shorten_group(group: TaskGroup, scheduler: Scheduler) -> None:
    """Cut the long names of a dead group."""
    group.name = cut(group.name)
    prefix, known = group.prefix, scheduler.task_prefixes
    # Without get(), which would mark it as used.
    if prefix.name not in known or known[prefix.name] is not prefix:
        prefix.name = cut(prefix.name)
    fold_types(group)


def fold_types(group: TaskGroup) -> None:
    """Count the types of results that have very long names, or are too many, as one.

    Upstream counts each type that a task of the group ever had.
    """
    types = _compat.get_types(group)
    surplus = [name for name in types if weigh(name) > LONGEST]
    if len(types) - len(surplus) > TYPES_KEPT:
        surplus = [name for name in types if name != OTHER_TYPES][TYPES_KEPT:]
    for name in surplus:
        _compat.rename_type(group, name, OTHER_TYPES)


def weigh_groups(groups: set[TaskGroup], scheduler: Scheduler) -> int:
    """Bytes of groups but the first, long names, types, and prefixes only they keep."""
    known = scheduler.task_prefixes
    prefixes = {tg.prefix.name: tg.prefix for tg in groups}
    evicted = [name for name, p in prefixes.items() if dict.get(known, name) is not p]
    names = [*evicted, *(tg.name for tg in groups)]
    weight = GROUP_BYTES * max(len(groups) - 1, 0) + PREFIX_BYTES * len(evicted)
    for group in groups:
        types = _compat.get_types(group)
        names += types
        weight += TYPE_BYTES * max(len(types) - 1, 0)
    return weight + sum(map(weigh, names))


def n_surplus(entries: list[Any], maxlen: int) -> int:
    """Count the oldest entries beyond a number of entries, and of bytes."""
    size, kept = 0, 0
    for entry in reversed(entries[-maxlen or len(entries) :]):
        size += size_of(entry, CODE_BYTES)[0]
        if size > CODE_BYTES:
            break
        kept += 1
    return len(entries) - kept
