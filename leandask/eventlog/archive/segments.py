"""Segments: the files of an archive, and what their names tell.

An archive has a folder for each scheduler. Its segments are named by the time at which
they begin and by their number, so that names in their order are records in theirs.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

#: The file beside the segments that says what the run was, without reading any.
RUN = "run.json"

_TIME = "%Y%m%dT%H%M%S.%fZ"
_SEGMENT = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-\d{6,}\.jsonl(?:\.zst|\.gz)?")


def segment_name(start: float, number: int, ending: str) -> str:
    """Return the name of a segment.

    Examples
    --------
    >>> segment_name(1.5, 7, ".zst")
    '19700101T000001.500000Z-000007.jsonl.zst'
    """
    text = datetime.fromtimestamp(start, timezone.utc).strftime(_TIME)
    return f"{text}-{number:06}.jsonl{ending}"


def start_of(name: str) -> float | None:
    """Return when a segment begins, in seconds since the epoch; None if it is none.

    Examples
    --------
    >>> start_of("19700101T000001.500000Z-000007.jsonl.zst"), start_of("run.json")
    (1.5, None)
    """
    match = _SEGMENT.fullmatch(name)
    if match is None:
        return None
    try:
        start = datetime.strptime(match[1], _TIME)
    except ValueError:  # digits that are no date
        return None
    return start.replace(tzinfo=timezone.utc).timestamp()
