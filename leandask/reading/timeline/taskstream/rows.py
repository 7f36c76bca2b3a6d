"""Rows: what each thread of each worker computed, and when."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from leandask.reading.taskruns import TaskRun
from leandask.records.text import NAME_LENGTH

#: Spans to keep, 54 bytes each: 57 MB. With one more, the short ones are merged.
SPANS = 2**20
#: Threads with a row. One takes 1 KB, and 5 KB at most with names of 512 characters.
#: Beyond it, the row that ended first is evicted.
ROWS = 4000
#: Microseconds within which runs are merged at first.
WIDTH = 1024
#: Microseconds to which times are rounded, if the page would be too large.
ROUNDED = 16

#: A span as it is packed: start, length, idle, transfer, disk, deserialize, n, kind.
#: All but the last two are microseconds, of the start since the epoch. Of a span of
#: several runs, ``idle`` is the time within it that none of them took. ``kind`` is
#: twice the index of the prefix, and one more if the runs erred.
SPAN = Struct("<qqqqqqIH")
#: Where each of these fields begins, and its bytes.
FIELDS = {
    "start": (0, 8),
    "length": (8, 8),
    "idle": (16, 8),
    "transfer": (24, 8),
    "disk": (32, 8),
    "deserialize": (40, 8),
    "n": (48, 4),
    "kind": (52, 2),
}
#: Bound of the sums, which a log of wrong times would pass.
_MOST = 2**53
Span = tuple[int, int, int, int, int, int, int, int]


class Row:
    """The runs of one thread of a worker."""

    __slots__ = ("end", "name", "spans", "thread", "worker")

    def __init__(self, worker: str, name: str, thread: int) -> None:
        self.worker, self.name, self.thread = worker, name, thread
        #: Packed spans, nearly always in the order of time.
        self.spans = bytearray()
        #: Latest end of a run.
        self.end = 0

    def __len__(self) -> int:
        return len(self.spans) // SPAN.size

    def merge(self, width: int) -> None:
        """Merge runs of a kind that are shorter than `width` and start within it."""
        merged = bytearray()
        cell = None
        # Open spans of the cell, by their kind.
        spans: dict[int, Span] = {}
        for span in SPAN.iter_unpack(self.spans):
            is_long = span[1] >= width
            if is_long or span[0] // width != cell:
                for each in spans.values():
                    merged += SPAN.pack(*each)
                spans.clear()
                cell = span[0] // width
            if is_long:
                merged += SPAN.pack(*span)
            else:
                other = spans.get(span[7])
                spans[span[7]] = span if other is None else _merged(other, span)
        for each in spans.values():
            merged += SPAN.pack(*each)
        self.spans = merged

    def round(self) -> None:
        """Round the times of all spans."""
        rounded = bytearray()
        for span in SPAN.iter_unpack(self.spans):
            start, end = rounded_time(span[0]), rounded_time(span[0] + span[1])
            phases = map(rounded_time, span[2:6])
            rounded += SPAN.pack(start, end - start, *phases, *span[6:])
        self.spans = rounded


def place_of(run: TaskRun) -> tuple[str, int]:
    """Return the worker and the thread of a run; empty and 0 if not known."""
    return (run.worker or "")[:NAME_LENGTH], run.thread or 0


def microseconds_of(seconds: float) -> int:
    """Return a duration in microseconds. A clock that was set back makes it 0."""
    return min(max(round(seconds * 1e6), 0), _MOST)


def rounded_time(microseconds: int) -> int:
    """Return a time to the next multiple of :data:`ROUNDED`."""
    return (microseconds + ROUNDED // 2) // ROUNDED * ROUNDED


def _merged(a: Span, b: Span) -> Span:
    start, end = min(a[0], b[0]), max(a[0] + a[1], b[0] + b[1])
    busy = a[1] - a[2] + b[1] - b[2]
    n = min(a[6] + b[6], 2**32 - 1)
    transfer, disk, deserialize = (min(a[i] + b[i], _MOST) for i in (3, 4, 5))
    # Runs of one thread may overlap, if a task left its thread.
    idle = max(end - start - busy, 0)
    return start, end - start, idle, transfer, disk, deserialize, n, a[7]


class Rows:
    """The runs of each thread, in bounded memory.

    Beyond the limit of spans, the shortest runs of a thread become one span: those of
    one prefix that start within the same `width`, which doubles until there is room.
    The longer a run, the longer it stays one of its own.

    Parameters
    ----------
    limit : int, optional
        Spans to keep.
    rows_limit : int, optional
        Rows to keep.
    """

    def __init__(self, limit: int = SPANS, rows_limit: int = ROWS) -> None:
        self.limit, self.rows_limit = limit, rows_limit
        #: Microseconds within which runs were merged; 0 if none was.
        self.width = 0
        #: Whether times were rounded.
        self.is_rounded = False
        #: Runs whose row was evicted, and such rows.
        self.runs_hidden = self.rows_hidden = 0
        self._rows: dict[tuple[str, int], Row] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def add(self, run: TaskRun, start: int, kind: int) -> None:
        """Add a run of a kind that started then."""
        place = place_of(run)
        row = self._rows.get(place)
        if row is None:
            row = self._new_row(place, run.worker_name)
        length = microseconds_of(run.compute)
        row.end = max(row.end, start + length)
        phases = map(microseconds_of, (run.transfer, run.disk, run.deserialize))
        row.spans += SPAN.pack(start, length, 0, *phases, 1, kind)
        self._n += 1
        if self._n > self.limit:
            if self.width:  # of those that came since
                self._merge()
            # By a quarter: with a few less, the next runs would merge all again.
            while self._n > self.limit * 3 // 4 and self.merge():
                pass

    def merge(self) -> bool:
        """Merge runs within twice the width; return False if that is of no use."""
        if self.width > 2**62:  # each row has one span of each kind
            return False
        self.width = self.width * 2 or WIDTH
        self._merge()
        return True

    def round(self) -> None:
        """Round the times of all spans, which makes the page smaller."""
        self.is_rounded = True
        for row in self:
            row.round()

    def _merge(self) -> None:
        for row in self:
            row.merge(self.width)
        self._n = sum(map(len, self))

    def _new_row(self, place: tuple[str, int], name: str | None) -> Row:
        if len(self._rows) == self.rows_limit:
            gone = min(self._rows, key=lambda key: self._rows[key].end)
            row = self._rows.pop(gone)
            self._n -= len(row)
            self.rows_hidden += 1
            self.runs_hidden += sum(span[6] for span in SPAN.iter_unpack(row.spans))
        worker, thread = place
        name = (name or worker)[:NAME_LENGTH]
        row = self._rows[place] = Row(worker, name, thread)
        return row

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(self._rows)}/{self.rows_limit}, "
            f"{self._n}/{self.limit} spans>"
        )
