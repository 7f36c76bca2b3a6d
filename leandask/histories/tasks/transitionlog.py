"""The last transitions of tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any

from distributed.scheduler import Transition

from leandask.histories.history import History
from leandask.histories.names import INCLUDED, LONGEST, Limit, cut, weigh
from leandask.records.schema import RECOMMENDATIONS

#: Called without super(), which takes half of the time of an append.
_append = deque.append


class TransitionLog(History[Transition]):
    """The last transitions. Each is handed to the stream when it is added.

    Long keys are cut in the log alone.

    Parameters
    ----------
    items : collection of Transition
    maxlen : int or None
        Entries kept.
    limit : Limit or None
        Bytes kept.
    stream : callable
        Called with every further transition.
    """

    def __init__(
        self,
        items: Collection[Transition],
        maxlen: int | None,
        limit: Limit | None,
        stream: Callable[[Transition], None],
    ) -> None:
        super().__init__(items, maxlen, limit)
        self._stream = stream

    def resized(self, maxlen: int | None, limit: Limit | None) -> TransitionLog:
        """Return a log of the same transitions with other bounds."""
        return TransitionLog(self, maxlen, limit, self._stream)

    def weigh(self, item: Transition) -> int:
        """Bytes of long keys, and of what caused the transition."""
        weight = weigh(item[0]) + weigh(item[4])
        return weight + sum(map(weigh, item[3])) if item[3] else weight

    def append(self, item: Transition) -> None:
        """Add the newest transition."""
        key, _, _, recommendations, stimulus_id, _ = item
        if (
            (len(key) if type(key) is str else weigh(key)) > INCLUDED
            or len(stimulus_id) > INCLUDED
            or (recommendations and _are_long(recommendations, key))
            or self.weight
        ):
            self._append_long(item)
        else:
            self.seen += 1
            _append(self, item)
        self._stream(item)

    def _append_long(self, item: Transition) -> None:
        if len(item[3]) > RECOMMENDATIONS:  # of a task with very many dependents
            first = dict(islice(item[3].items(), RECOMMENDATIONS))
            item = item._replace(recommendations=first)
        if self.weigh(item) > LONGEST:
            item = self._shorten(item)
        super().append(item)

    def _shorten(self, item: Transition) -> Transition:
        return item._replace(
            key=cut(item.key),
            recommendations={cut(key): v for key, v in item.recommendations.items()},
            stimulus_id=cut(item.stimulus_id),
        )


def _are_long(recommendations: Any, weighed: Any) -> bool:
    for key in recommendations:
        if key is not weighed:
            if (len(key) if type(key) is str else weigh(key)) > INCLUDED:
                return True
    return len(recommendations) > RECOMMENDATIONS
