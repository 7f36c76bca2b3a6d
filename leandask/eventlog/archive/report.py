"""ArchiveReport: the counters of an archive, as the report shows them."""

from __future__ import annotations

from typing import TypedDict


class ArchiveReport(TypedDict):
    """Counters of the archive."""

    url: str
    #: Segments and their bytes, compressed: in the bucket, on this machine, and lost.
    segments_uploaded: int
    bytes_uploaded: int
    segments_waiting: int
    bytes_waiting: int
    segments_lost: int
    bytes_lost: int
    #: Lines that could not be written to a segment for too long.
    lines_lost: int
    #: Uploads that failed, whether the last one did, and the last error.
    errors: int
    failing: bool
    last_error: str | None
    #: When the last one succeeded, of a segment or of ``run.json``; None if none did.
    last_upload: str | None
