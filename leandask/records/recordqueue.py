"""RecordQueue: records on their way from the event loop to the drain.

It is bounded by a number of records and by their estimated bytes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

if TYPE_CHECKING:
    import logging

    from leandask.records.schema import Record

#: Share of the bounds above which only urgent records are accepted.
NEARLY_FULL = 0.9


class Kind(NamedTuple):
    """A kind of record: how it is counted, made and logged."""

    #: Key of the counter of dropped records.
    name: str
    #: Makes a record from its number and its source.
    make: Callable[[int, Any], Record]
    #: Logger of the record.
    logger: logging.Logger


#: A record that waits: its number, its estimated bytes, its kind, and the source that
#: ``kind.make`` makes it from. A plain tuple, as it is made on the event loop: a
#: NamedTuple takes a fifth more of the loop's time per transition.
Waiting = tuple[int, int, Kind, Any]


class StreamStats(TypedDict):
    """Counters of a stream since its start."""

    #: Records taken from the scheduler, or dropped.
    emitted: int
    #: Records handed to logging.
    written: int
    #: Records dropped, by reason and by kind.
    dropped: dict[str, int]
    dropped_kinds: dict[str, int]
    #: Exceptions, mostly of handlers and filters.
    errors: int
    #: Times that an exception would have ended the thread.
    restarts: int
    #: Records that wait, and their estimated size in bytes.
    queued: int
    queued_bytes: int


class RecordQueue:
    """Numbers records and holds them, up to a length and a size.

    One thread puts and another one pops. They share no lock, as each counter is changed
    by one of them only.
    """

    #: Records that may wait.
    max_length: int
    #: Estimated bytes that may wait.
    max_bytes: int
    #: Seconds to wait for room; 0 drops at once. After a wait that timed out, the next
    #: ones drop at once until a record was popped.
    block_timeout: float
    #: Seconds between two checks for room during a wait.
    poll_interval: float
    #: Records put since the start, dropped ones too: the number of the last one.
    emitted: int
    #: Records dropped, by reason.
    dropped: dict[str, int]
    #: Set to have the popping thread start its next turn at once.
    wake: threading.Event
    #: Whether all further records are dropped.
    closed: bool

    def __init__(
        self,
        max_length: int,
        max_bytes: int,
        block_timeout: float,
        *,
        poll_interval: float = 0.001,
    ) -> None:
        self.max_length = max_length
        self.max_bytes = max_bytes
        self.block_timeout = block_timeout
        self.poll_interval = poll_interval
        self.emitted = 0
        self.dropped = {"queue-length": 0, "queue-bytes": 0, "closed": 0, "failed": 0}
        self._dropped_kinds = {"event": 0, "transition": 0, "task": 0, "life": 0}
        self._failed_kinds = dict(self._dropped_kinds)  # changed by the popping thread
        self.wake = threading.Event()
        self.closed = False
        self._soft_length = max_length * NEARLY_FULL
        self._soft_bytes = max_bytes * NEARLY_FULL
        self._waiting: deque[Waiting] = deque()
        self._bytes_in = 0  # changed by the putting thread
        self._bytes_out = 0  # changed by the popping thread
        self._timed_out_at = -1  # _bytes_out when the last wait timed out

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
        """Whether more than a quarter of the length or of the size is used."""
        return (
            4 * len(self._waiting) > self.max_length or 4 * self.nbytes > self.max_bytes
        )

    @property
    def n_dropped(self) -> int:
        """Records dropped since the start."""
        return sum(self.dropped.values())

    @property
    def dropped_kinds(self) -> dict[str, int]:
        """Records dropped since the start, by kind."""
        failed = self._failed_kinds
        return {kind: n + failed[kind] for kind, n in self._dropped_kinds.items()}

    def put(self, kind: Kind, source: Any, nbytes: int) -> None:
        """Add a record that is not urgent, if there is room."""
        if (
            len(self._waiting) < self._soft_length
            and self._bytes_in - self._bytes_out + nbytes <= self._soft_bytes
            and not self.closed
        ):
            self.emitted += 1
            self._bytes_in += nbytes
            self._waiting.append((self.emitted, nbytes, kind, source))
        else:
            self._put_or_drop(kind, source, nbytes, urgent=False)

    def put_urgent(self, kind: Kind, source: Any, nbytes: int) -> None:
        """Add a record that may use all of the room, if any is left; wake the drain."""
        self._put_or_drop(kind, source, nbytes, urgent=True)
        self.wake.set()

    def put_unbounded(self, kind: Kind, source: Any, nbytes: int) -> None:
        """Add a record even if there is no room: for the few that must not be lost."""
        self.emitted += 1
        self._bytes_in += nbytes
        self._waiting.append((self.emitted, nbytes, kind, source))

    def pop(self, count: int) -> list[Waiting]:
        """Remove and return the oldest records, `count` of them at most."""
        popleft = self._waiting.popleft
        popped = [popleft() for _ in range(min(count, len(self._waiting)))]
        self._bytes_out += sum([nbytes for _, nbytes, _, _ in popped])
        return popped

    def close(self) -> None:
        """Drop all further records, and wake the drain for the last ones."""
        self.closed = True
        self.wake.set()

    def copy(self) -> list[Waiting]:
        """Return the records that wait, the oldest first."""
        return list(self._waiting)

    def note_closed(self, records: list[Waiting]) -> None:
        """Count records that were popped and that nobody took before the end."""
        for _, _, kind, _ in records:
            self._dropped_kinds[kind.name] += 1
        self.dropped["closed"] += len(records)

    def note_failed(self, kind: Kind) -> None:
        """Count a record that was popped and that an exception kept from logging."""
        self.dropped["failed"] += 1
        self._failed_kinds[kind.name] += 1

    def _put_or_drop(self, kind: Kind, source: Any, nbytes: int, urgent: bool) -> None:
        reason = self._refusal(nbytes, urgent)
        if reason and self.block_timeout and not self.closed:
            reason = self._wait_for_room(nbytes, urgent)
        if not reason:
            self.put_unbounded(kind, source, nbytes)
            return
        self.emitted += 1
        self.dropped[reason] += 1
        self._dropped_kinds[kind.name] += 1

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
        if self._bytes_out != self._timed_out_at:
            deadline += self.block_timeout
        self.wake.set()
        while (reason := self._refusal(nbytes, urgent)) and time.monotonic() < deadline:
            time.sleep(self.poll_interval)
        if reason:
            self._timed_out_at = self._bytes_out
        return reason
