"""RecordQueue: records on their way from the event loop to the drain, bounded twice."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import logging

    from leandask.records.schema import Record

#: Share of the bounds from which on only what is WARNING or above is taken.
NEARLY_FULL = 0.9
#: Seconds between two looks for room, where the event loop waits for it.
ROOM_POLL_SECONDS = 0.001


class Kind(NamedTuple):
    """What becomes of a record that waits."""

    #: Key of the counter of those that are dropped.
    name: str
    #: Makes the record of a number and of what waited.
    make: Callable[..., Record]
    #: Takes it, as a LogRecord.
    logger: logging.Logger


#: Number and estimated bytes of a record, its kind, and what it is made of.
Waiting = tuple[int, int, Kind, Any]


class RecordQueue:
    """Numbers records and holds them, up to a length and a size.

    One thread puts, another pops; neither waits for the other, as every counter is
    changed by one of them only.

    Parameters
    ----------
    max_length : int
        Records that may wait.
    max_bytes : int
        Estimated bytes that may wait.
    block_timeout : float
        Seconds to wait for room; 0 drops at once. After one wait in vain there is no
        other until something was popped.
    """

    #: Records ever put, dropped ones too: the number of the last.
    emitted: int
    #: Records dropped by reason, and by kind.
    dropped: dict[str, int]
    dropped_kinds: dict[str, int]
    #: Set for the popping thread when it should not wait for its next turn.
    wake: threading.Event
    #: Whether all further records are dropped.
    closed: bool

    def __init__(self, max_length: int, max_bytes: int, block_timeout: float) -> None:
        self.max_length = max_length
        self.max_bytes = max_bytes
        self.block_timeout = block_timeout
        self.emitted = 0
        self.dropped = {"queue-length": 0, "queue-bytes": 0, "closed": 0}
        self.dropped_kinds = {"event": 0, "transition": 0, "life": 0}
        self.wake = threading.Event()
        self.closed = False
        self._soft_length = max_length * NEARLY_FULL
        self._soft_bytes = max_bytes * NEARLY_FULL
        self._waiting: deque[Waiting] = deque()
        self._bytes_in = 0  # changed by the putting thread
        self._bytes_out = 0  # changed by the popping one
        self._vain_at = -1  # what _bytes_out was after the last wait in vain

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(self)}/{self.max_length}, "
            f"{self.emitted} emitted, {self.n_dropped} dropped>"
        )

    @property
    def nbytes(self) -> int:
        """Estimated bytes of the records that wait."""
        return self._bytes_in - self._bytes_out

    @property
    def is_quarter_full(self) -> bool:
        """Whether a quarter of the length or of the size is taken."""
        return (
            4 * len(self._waiting) > self.max_length or 4 * self.nbytes > self.max_bytes
        )

    @property
    def n_dropped(self) -> int:
        """Records dropped."""
        return sum(self.dropped.values())

    def put(self, kind: Kind, what: Any, nbytes: int) -> None:
        """Take a record below WARNING, if there is room."""
        if (
            len(self._waiting) < self._soft_length
            and self._bytes_in - self._bytes_out + nbytes <= self._soft_bytes
            and not self.closed
        ):
            self.emitted += 1
            self._bytes_in += nbytes
            self._waiting.append((self.emitted, nbytes, kind, what))
        else:
            self._put_slowly(kind, what, nbytes, urgent=False)

    def put_urgent(self, kind: Kind, what: Any, nbytes: int) -> None:
        """Take a record of WARNING or above, if there is room, and wake the drain."""
        self._put_slowly(kind, what, nbytes, urgent=True)
        self.wake.set()

    def put_anyway(self, kind: Kind, what: Any, nbytes: int) -> None:
        """Take a record past the bounds: one of the few that tell of the rest."""
        self.emitted += 1
        self._bytes_in += nbytes
        self._waiting.append((self.emitted, nbytes, kind, what))

    def pop(self, count: int) -> list[Waiting]:
        """Give the records that wait for the longest time, up to some number."""
        popleft = self._waiting.popleft
        popped: list[Waiting] = []
        with contextlib.suppress(IndexError):  # as abandon() may come between
            for _ in range(count):
                popped.append(popleft())
        self._bytes_out += sum([waiting[1] for waiting in popped])
        return popped

    def close(self) -> None:
        """Drop all further records, and wake the drain for the last ones."""
        self.closed = True
        self.wake.set()

    def abandon(self) -> int:
        """Drop what waits, and tell how many they were."""
        left = self.pop(len(self._waiting))
        for _, _, kind, _ in left:
            self.dropped_kinds[kind.name] += 1
        self.dropped["closed"] += len(left)
        return len(left)

    def _put_slowly(self, kind: Kind, what: Any, nbytes: int, urgent: bool) -> None:
        reason = self._refusal(nbytes, urgent)
        if reason and self.block_timeout and not self.closed:
            reason = self._wait_for_room(nbytes, urgent)
        if not reason:
            self.put_anyway(kind, what, nbytes)
            return
        self.emitted += 1
        self.dropped[reason] += 1
        self.dropped_kinds[kind.name] += 1

    def _refusal(self, nbytes: int, urgent: bool) -> str:
        """Why there is no room for a record, or an empty text."""
        if self.closed:
            return "closed"
        if len(self._waiting) >= (self.max_length if urgent else self._soft_length):
            return "queue-length"
        if self.nbytes + nbytes > (self.max_bytes if urgent else self._soft_bytes):
            return "queue-bytes"
        return ""

    def _wait_for_room(self, nbytes: int, urgent: bool) -> str:
        deadline = time.monotonic()
        if self._bytes_out != self._vain_at:
            deadline += self.block_timeout
        self.wake.set()
        while (reason := self._refusal(nbytes, urgent)) and time.monotonic() < deadline:
            time.sleep(ROOM_POLL_SECONDS)
        if reason:
            self._vain_at = self._bytes_out
        return reason
