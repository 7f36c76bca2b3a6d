"""The last tasks that erred, for a page of the dashboard."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from sys import getsizeof

from distributed.scheduler import ErredTask

from leandask.histories.history import History
from leandask.histories.names import Limit, cut, weigh

#: Bytes of an entry without its two texts.
ENTRY_BYTES = 500


class ErredTasks(History[ErredTask]):
    """Erred tasks, newest first, with the heads of their exceptions and tracebacks.

    Parameters
    ----------
    items : collection of ErredTask
    maxlen : int or None
        Entries kept.
    limit : Limit or None, optional
        Bytes kept; None is unbounded.
    length : int or None, optional
        Characters kept of each text; None keeps all.
    """

    def __init__(
        self,
        items: Collection[ErredTask] = (),
        maxlen: int | None = None,
        limit: Limit | None = None,
        length: int | None = None,
    ) -> None:
        self.length = length
        # A deque keeps its last items, which are the oldest here.
        newest = list(items)[:maxlen]
        super().__init__([self._shorten(erred) for erred in newest], maxlen, limit)
        self.seen = getattr(items, "seen", len(items))

    @property
    def nbytes(self) -> int:
        """Bytes of all entries: a text of characters takes 1 to 4 bytes for each."""
        texts = [t for e in self for t in (e.exception_text, e.traceback_text)]
        return self.weight + ENTRY_BYTES * len(self) + sum(map(getsizeof, texts))

    def weigh(self, item: ErredTask) -> int:
        """Bytes of a long key."""
        return weigh(item.key)

    def appendleft(self, item: ErredTask) -> None:
        """Add the newest erred task."""
        self.seen += 1
        item = self._shorten(item)
        self._make_room(1, self.weigh(item))
        super().appendleft(item)

    def _pop_oldest(self) -> ErredTask:
        return self.pop()

    def _shorten(self, erred: ErredTask) -> ErredTask:
        return dataclasses.replace(
            erred,
            key=cut(erred.key),
            # A worker may send anything, which upstream keeps as it is.
            exception_text=str(erred.exception_text)[: self.length],
            traceback_text=str(erred.traceback_text)[: self.length],
        )
