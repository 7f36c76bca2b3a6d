"""Packing: the runs of tasks as the page unpacks them, in a limited number of bytes.

A column of numbers is written byte by byte: first the lowest byte of each number, then
the next one. So each plane of bytes has similar ones, and deflate makes them small.
"""

from __future__ import annotations

import base64
import re
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import orjson

from leandask.reading.timeline.taskstream.details import Detail
from leandask.reading.timeline.taskstream.rows import (
    FIELDS,
    SPAN,
    Row,
    Rows,
    rounded_time,
)
from leandask.reading.timeline.taskstream.taskstream import TaskStream
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line

#: Bytes of the page for the spans, and for the keys: base64 of what deflate makes.
SPANS_BYTES, DETAILS_BYTES = 6_100_000, 1_500_000


def packed(tasks: TaskStream, start: int) -> dict[str, Any]:
    """Return runs as plain JSON values; times are since `start`, in microseconds.

    If they take too many bytes, times are rounded, then runs are merged further, and
    fewer keys are kept.
    """
    rows = sorted(tasks.rows, key=lambda row: _order(row.name) + _order(row.worker))
    spans = _spans_that_fit(tasks.rows, rows, start)
    details = _details(rows, tasks, start)
    totals = tasks.stats.as_dict()["prefixes"]
    return {
        "rows": [
            {
                "worker": one_line(row.worker, NAME_LENGTH),
                "name": one_line(row.name, NAME_LENGTH),
                "thread": row.thread,
                "spans": len(row),
            }
            for row in rows
        ],
        "prefixes": [
            {
                "name": one_line(name, NAME_LENGTH),
                "runs": totals[name]["count"],
                "erred": totals[name]["erred"],
                "compute": seconds_of(totals[name], "compute"),
            }
            for name in tasks.prefixes
        ],
        "spans": spans,
        "details": details,
    }


def seconds_of(totals: dict[str, Any], phase: str, figure: str = "total") -> float:
    """Return a figure of a phase of the runs of a prefix; 0 if there was none."""
    seconds: float = totals.get(f"{phase}_seconds", {}).get(figure, 0.0)
    return seconds


def _order(name: str) -> list[tuple[int, str]]:
    """Return what puts worker-2 before worker-10."""
    parts = re.split(r"(\d+)", name)
    # The digits are every second part.
    return [(int(p), "") if i % 2 else (0, p) for i, p in enumerate(parts)]


def _spans_that_fit(all_rows: Rows, rows: Sequence[Row], start: int) -> dict[str, Any]:
    spans = _spans(rows, start)
    if len(spans["bytes"]) > SPANS_BYTES:
        all_rows.round()
        spans = _spans(rows, start)
    while (size := len(spans["bytes"])) > SPANS_BYTES:
        # Packing takes a while, so all is merged that will be too much.
        fitting = int(len(all_rows) * SPANS_BYTES / size)
        while len(all_rows) > fitting:
            if not all_rows.merge():
                return spans
        spans = _spans(rows, start)
    return spans


def _spans(rows: Sequence[Row], start: int) -> dict[str, Any]:
    """Pack the spans of all rows, one row after the other.

    In place of its start, a span has the time since the end of the one before it, in
    zigzag: twice the number, or twice what is below zero, less one.
    """
    gaps = array("q")
    for row in rows:
        end = start
        for span in SPAN.iter_unpack(row.spans):
            gap = span[0] - end
            gaps.append(gap << 1 if gap >= 0 else ~gap << 1 | 1)
            end = span[0] + span[1]
    if sys.byteorder == "big":
        gaps.byteswap()
    used: list[tuple[str, int]] = []

    def planes() -> Iterator[bytes]:
        buffer = gaps.tobytes()
        for k in range(8):
            yield from kept("gap", k, buffer[k::8])
        for name, (offset, size) in FIELDS.items():
            for k in range(size if name != "start" else 0):
                plane = b"".join(row.spans[offset + k :: SPAN.size] for row in rows)
                yield from kept(name, k, plane)

    def kept(name: str, k: int, plane: bytes) -> Iterator[bytes]:
        if plane.count(0) < len(plane):  # most numbers are small
            used.append((name, k))
            yield plane

    packed = _deflated(planes())
    return {"planes": used, "bytes": packed}


def _details(rows: Sequence[Row], tasks: TaskStream, start: int) -> dict[str, Any]:
    numbers = {(row.worker, row.thread): n for n, row in enumerate(rows)}
    while True:
        kept = [d for d in tasks.details.kept() if (d.worker, d.thread) in numbers]
        kept.sort(key=lambda d: (numbers[d.worker, d.thread], d.start))
        # As those of the spans, by which the page finds them.
        is_rounded = tasks.rows.is_rounded
        starts = [rounded_time(d.start) if is_rounded else d.start for d in kept]
        columns = _columns(kept, starts, numbers, start)
        found = _deflated([orjson.dumps(columns)])
        if len(found) <= DETAILS_BYTES:
            return {"n": len(kept), "bytes": found}
        tasks.details.keep(len(tasks.details) * 3 // 4)


def _columns(
    details: Sequence[Detail],
    starts: Sequence[int],
    numbers: dict[tuple[str, int], int],
    start: int,
) -> dict[str, Any]:
    """Return the details by column; a start is the time since that of the one before.

    The one before may be of another row.
    """
    times = [start, *starts]
    return {
        "rows": [numbers[d.worker, d.thread] for d in details],
        "starts": [b - a for a, b in pairwise(times)],
        "nbytes": [d.nbytes for d in details],
        "keys": [one_line(d.key, NAME_LENGTH) for d in details],
        "reasons": {
            str(i): one_line(d.reason, MESSAGE_LENGTH)
            for i, d in enumerate(details)
            if d.reason
        },
    }


def _deflated(parts: Iterable[bytes]) -> str:
    deflate = zlib.compressobj(6, strategy=zlib.Z_FILTERED)
    chunks = [deflate.compress(part) for part in parts]
    return base64.b64encode(b"".join([*chunks, deflate.flush()])).decode()
