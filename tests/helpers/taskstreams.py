"""Task streams as their page unpacks them."""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from typing import NamedTuple

from tests.helpers.timelines import data_of


class Span(NamedTuple):
    """A span of a row: times in microseconds since the start of the page."""

    start: int
    length: int
    idle: int
    transfer: int
    disk: int
    deserialize: int
    n: int
    prefix: str
    is_erred: bool


def unpacked(timeline):
    """The data of a page, and the spans of each row by worker and thread."""
    data = data_of(timeline)
    runs = data["runs"]
    n = sum(row["spans"] for row in runs["rows"])
    planes = zlib.decompress(base64.b64decode(runs["spans"]["bytes"]))
    columns = {}
    for i, (name, k) in enumerate(runs["spans"]["planes"]):
        column = columns.setdefault(name, [0] * n)
        for j, byte in enumerate(planes[i * n : (i + 1) * n]):
            column[j] += byte << 8 * k
    assert len(planes) == n * len(runs["spans"]["planes"])
    names = ("gap", "length", "idle", "transfer", "disk", "deserialize", "n", "kind")
    numbers = zip(*(columns.get(name, [0] * n) for name in names), strict=True)
    rows = {}
    for row in runs["rows"]:
        end, spans = 0, []
        for gap, length, *rest, kind in itertools.islice(numbers, row["spans"]):
            start = end + (-(gap + 1) // 2 if gap % 2 else gap // 2)
            end = start + length
            prefix = runs["prefixes"][kind // 2]["name"]
            spans.append(Span(start, length, *rest, prefix, kind % 2 == 1))
        rows[row["name"], row["thread"]] = spans
    return data, rows


def details_of(data):
    """The details of a page, as a list of (row, start, key, nbytes, reason)."""
    packed = base64.b64decode(data["runs"]["details"]["bytes"])
    found = json.loads(zlib.decompress(packed))
    starts = itertools.accumulate(found["starts"])
    columns = found["rows"], starts, found["keys"], found["nbytes"]
    return [
        (*row, found["reasons"].get(str(i)))
        for i, row in enumerate(zip(*columns, strict=True))
    ]
