"""LastRecords: the last records of a log, or of all logs of a folder."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from leandask.reading.backward import BackwardScan
from leandask.reading.files.listing import Log
from leandask.reading.filter import Filter
from leandask.reading.lines import record_of
from leandask.reading.problems import Problems
from leandask.records.times import rfc3339

if TYPE_CHECKING:
    from leandask.reading.bucket.bucketlogs import BucketLog

#: Bytes of lines to keep. With those of several logs before they are merged, and what
#: Python needs for each line, it takes four times as much at most.
KEPT_BYTES = 64 * 2**20


class LastRecords:
    """The last records of logs, in bounded memory.

    Parameters
    ----------
    wanted : Filter
    limit : int
        Largest number of records, at least 1.
    kept_bytes : int, optional
        Bytes of lines to keep.
    """

    #: What was wrong with the lines and files that were read.
    problems: Problems
    #: Whether there are fewer than `limit`, as they would take too many bytes.
    is_cut: bool

    def __init__(
        self, wanted: Filter, limit: int, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self.wanted = wanted
        self.limit = limit
        self.kept_bytes = kept_bytes
        self.problems = Problems()
        self.is_cut = False
        #: Lines of one log or of several, those written last at the end.
        self._runs: list[list[bytes]] = []
        self._n_lines = self._nbytes = 0
        #: Time before which no record is among the last ones; "" if not known.
        self._oldest = ""

    def read(self, logs: Sequence[Log | BucketLog]) -> None:
        """Read logs, those that were written last first, as far as needed.

        Raises
        ------
        OSError
            If no file of any log can be opened.
        """
        errors = []
        for log in sorted(logs, key=lambda log: log.last_written, reverse=True):
            # The time of a file may lag behind by a tick of the kernel.
            if rfc3339(log.last_written + 1) < self._oldest:
                break  # neither this log nor the others have a newer record
            scan = BackwardScan(
                log, self.wanted, self.limit, self.kept_bytes, self.problems
            )
            try:
                self._add(scan)
                errors.append(scan.error)
            except OSError as e:  # removed, or renamed all the time
                self.problems.add_unreadable(log.base, 0, e)
                errors.append(e)
        if errors and (first := errors[0]) and all(errors):
            raise first

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records in the order of the log; those of several logs by time."""
        self._merge()
        for run in self._runs:
            yield from map(record_of, run)

    def _add(self, scan: BackwardScan) -> None:
        """Add the last lines of a log."""
        run: list[bytes] = []
        nbytes = 0
        for lines in scan.slices():
            run += lines
            nbytes += sum(map(len, lines))
            if nbytes > self.kept_bytes:
                self.is_cut = True
                break
        self.is_cut |= scan.is_full
        if run:
            self._runs.append(run[::-1])
            self._n_lines += len(run)
            self._nbytes += nbytes
        # Not after each log: that would take the square of their number.
        if (
            len(self._runs) == 1
            or self._n_lines > 2 * self.limit
            or self._nbytes > 2 * self.kept_bytes
        ):
            self._merge()

    def _merge(self) -> None:
        """Make one run of all runs, and keep the last of its lines."""
        lines = [*heapq.merge(*self._runs, key=_time_of)][-self.limit :]
        nbytes = sum(map(len, lines))
        begin = 0
        while nbytes > self.kept_bytes and begin < len(lines) - 1:
            nbytes -= len(lines[begin])
            begin += 1
            self.is_cut = True
        self._runs = [lines[begin:]] if lines else []
        self._n_lines, self._nbytes = len(lines) - begin, nbytes
        if self._n_lines == self.limit or (self.is_cut and lines):
            self._oldest = _time_of(lines[begin])


def _time_of(line: bytes) -> str:
    return str(record_of(line)["timestamp"])
