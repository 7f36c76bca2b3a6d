"""The last computations, which upstream has deprecated for spans."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

from distributed.scheduler import Computation

from leandask.histories.history import History
from leandask.histories.names import Limit
from leandask.histories.sizes import size_of
from leandask.histories.spans.groups import (
    CODE_BYTES,
    fold_dead_groups,
    is_live,
    n_surplus,
    weigh_groups,
)

if TYPE_CHECKING:
    from distributed import Scheduler


class Computations(History[Computation]):
    """The last computations. What they hold is weighed once they have finished.

    Parameters
    ----------
    items : collection of Computation
    maxlen : int or None
        Computations kept.
    limit : Limit or None
        Bytes kept.
    """

    def __init__(
        self, items: Collection[Computation], maxlen: int | None, limit: Limit | None
    ) -> None:
        #: By the id of a finished computation.
        self._weights: dict[UUID, int] = {}
        super().__init__(items, maxlen, limit)

    def weigh(self, item: Computation) -> int:
        """Bytes of groups, code, annotations and long names; 0 while it runs."""
        return self._weights.get(item.id, 0)

    def prune(self, scheduler: Scheduler, maxlen: int) -> None:
        """Shorten the computations that may have changed, and weigh finished ones."""
        for computation in self:
            if computation.id in self._weights:
                continue
            fold_dead_groups(computation.groups, scheduler)
            shorten_code(computation.code, maxlen)
            shorten_annotations(computation.annotations, maxlen)
            is_newest = computation is self[-1]
            if not is_newest and not is_live(computation.groups, scheduler):
                self._weights[computation.id] = _weigh(computation, scheduler)
        self.reweigh()
        kept = {computation.id for computation in self}
        self._weights = {i: w for i, w in self._weights.items() if i in kept}


def install(scheduler: Scheduler, maxlen: int | None, limit: Limit | None) -> None:
    """Replace the scheduler's computations, at first or again."""
    scheduler.computations = Computations(scheduler.computations, maxlen, limit)


def shorten_code(code: Any, maxlen: int) -> None:
    """Forget code of a computation beyond a number of snippets, and of bytes."""
    # Sorted by text, not by age: upstream keeps no other order.
    del code[: -maxlen or None]
    while size_of([*code], CODE_BYTES)[0] > CODE_BYTES:
        code.remove(max(code, key=lambda snippet: size_of(snippet, CODE_BYTES)[0]))


def shorten_annotations(annotations: dict[str, Any], maxlen: int) -> None:
    """Forget annotations of a computation beyond a number of them, and of bytes.

    Upstream adds those of each graph; the tasks have their own.
    """
    for name in [*annotations][: n_surplus([*annotations.items()], maxlen)]:
        del annotations[name]


def _weigh(computation: Computation, scheduler: Scheduler) -> int:
    weight = weigh_groups(computation.groups, scheduler)
    for kept in ([*computation.code], computation.annotations):
        weight += size_of(kept, CODE_BYTES)[0] if kept else 0
    return weight
