"""What is read of a log as it grows: each line once."""

from __future__ import annotations

import gzip

import pytest

from leandask.eventlog.formatter import JSONFormatter
from leandask.historyserver.index.growth import HEAD, Growth
from leandask.reading.files.listing import find_log
from leandask.records.factory import RecordFactory
from tests.helpers.logs import NOW, lines, transition


def read(growth, log, limit=2**30):
    blocks = [*growth.blocks(find_log(log), limit)]
    assert all(block.endswith(b"\n") for block in blocks)
    return b"".join(blocks)


def test_only_what_a_log_has_grown_by_is_read(tmp_path):
    log, growth = tmp_path / "a.jsonl", Growth({})
    parts = [*lines(300)]
    first, second, third = (b"".join(parts[i : i + 100]) for i in (0, 100, 200))
    log.write_bytes(first + second[:50])  # a line that is being written
    assert read(growth, log) == first
    assert read(growth, log) == b""
    with log.open("ab") as file:
        file.write(second[50:])
    log.rename(f"{log}.1")
    log.write_bytes(third)
    assert read(growth, log) == second + third
    # Compressed afterwards, it is the same.
    (tmp_path / "a.jsonl.1.gz").write_bytes(gzip.compress(first + second))
    (tmp_path / "a.jsonl.1").unlink()
    assert read(growth, log) == b""
    assert len(growth.positions) == 2 and not growth.errors


def test_the_frames_of_a_compressed_log_are_read_as_they_come(tmp_path):
    log, growth = tmp_path / "a.jsonl.zst", Growth({})
    zstandard = pytest.importorskip("zstandard")
    frame = zstandard.ZstdCompressor(write_content_size=True).compress
    every = [*lines(40)]
    parts = [b"".join(every[i : i + 10]) for i in range(0, 40, 10)]
    log.write_bytes(frame(parts[0]) + frame(parts[1])[:-5])
    found = read(growth, log)
    log.write_bytes(b"".join(map(frame, parts[:3])))
    found += read(growth, log)
    assert read(growth, log) == b""
    with log.open("ab") as file:
        file.write(frame(parts[3]))
    found += read(growth, log)
    assert found == b"".join(parts)


def test_an_emptied_log_is_read_from_its_start(tmp_path):
    log, growth = tmp_path / "a.jsonl", Growth({})
    log.write_bytes(b"".join(lines(50)))
    read(growth, log)
    fresh = b"".join(lines(20, "Scheduler-2"))
    log.write_bytes(fresh)
    assert read(growth, log) == fresh


def test_a_long_log_is_read_in_slices(tmp_path):
    log, growth = tmp_path / "a.jsonl", Growth({})
    text = b"".join(lines(5000))
    log.write_bytes(text)
    found = b""
    for _ in range(100):
        part = read(growth, log, limit=300_000)
        assert len(part) < 700_000
        found += part
        if not growth.has_more:
            break
    assert found == text


def lines_at_once(n, key):
    """Lines of transitions of the same time, which differ by their numbers."""
    factory, encode = RecordFactory("Scheduler-1"), JSONFormatter().encode_fields
    for i in range(1, n + 1):
        made = transition(0, key)._replace(timestamp=NOW)
        yield encode(factory.transition(i, made)[2]) + b"\n"


@pytest.mark.parametrize("key", ["x", "k" * 500])
def test_files_that_begin_at_the_same_time_are_all_read(tmp_path, key):
    log, growth = tmp_path / "a.jsonl", Growth({})
    every = [*lines_at_once(300, key)]
    first, second = b"".join(every[:100]), b"".join(every[100:])
    log.write_bytes(first)
    assert read(growth, log) == first
    log.rename(f"{log}.1")
    log.write_bytes(second)
    assert read(growth, log) == second
    (tmp_path / "a.jsonl.1.gz").write_bytes(gzip.compress(first))
    (tmp_path / "a.jsonl.1").unlink()
    assert read(growth, log) == b""
    assert len(growth.positions) == 2 and not growth.errors


@pytest.mark.parametrize("length", [1, 2 * HEAD])
def test_a_first_line_that_comes_in_parts_is_read_once(tmp_path, length):
    log, growth = tmp_path / "a.jsonl", Growth({})
    first, *others = lines_at_once(3, "x")
    text = first[:-2] + b" " * length + b"}\n" + b"".join(others)
    found = b""
    for end in [*range(100, len(text), 97), len(text)]:
        log.write_bytes(text[:end])
        found += read(growth, log)
    assert found == text
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    log.unlink()
    assert read(growth, log) == b""
