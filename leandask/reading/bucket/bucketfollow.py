"""BucketFollow: the records of a run in a bucket, as its segments arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leandask._throttle import Throttle
from leandask.reading.bucket.bucketlogs import BucketFiles, BucketLog
from leandask.reading.filter import RecordFilter
from leandask.reading.forward import ForwardScan
from leandask.reading.problems import Problems

#: Seconds between two listings: each is a request that a bucket may charge for.
INTERVAL = 5.0


class BucketFollow:
    """Yields the records of new segments of a run.

    Parameters
    ----------
    log : BucketLog
    wanted : RecordFilter
    interval : float, optional
        Shortest time in seconds between two listings.

    Raises
    ------
    OSError
        If it can't be listed.
    """

    #: What was wrong with the new segments.
    problems: Problems

    def __init__(
        self, log: BucketLog, wanted: RecordFilter, interval: float = INTERVAL
    ) -> None:
        self.path = log.base
        self._log = log
        self._last = max((key for key, _ in log.segments()), default="")
        self._scan = ForwardScan(wanted, lambda nbytes: None)
        self.problems = self._scan.problems
        self._listing = Throttle(interval)

    def __enter__(self) -> BucketFollow:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield what is new since the last call, without waiting for more.

        Raises
        ------
        OSError
            If the bucket can't be listed.
        """
        if not self._listing.acquire():
            return
        files = self._log.open().files
        new = [file for file in files if file.key > self._last]
        if new:
            self._last = new[-1].key
            with BucketFiles(new) as found:
                yield from self._scan.records([found])
