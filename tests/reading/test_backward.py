from __future__ import annotations

import gzip

import pytest

from leandask.reading.backward import KEPT_BYTES, BackwardScan
from leandask.reading.files.backwards import SLICE, lines_backwards
from leandask.reading.files.listing import find_log
from leandask.reading.files.logfiles import LogFiles
from leandask.reading.filter import Filter
from leandask.reading.lines import record_of
from tests.helpers.logs import NOW, lines, write


def newest(path, limit=10**6, kept_bytes=KEPT_BYTES, **filters):
    scan = BackwardScan(path, Filter(**filters), limit, kept_bytes)
    return scan, [record_of(line)["seq"] for f in scan.slices() for line in f]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_lines_come_backwards_for_any_size_of_block(path, block):
    text = b"".join(b"%d\n" % i for i in range(0, 3000, 7)) + b"torn"
    with LogFiles.of(find_log(write(path, text))) as files:
        found = [*lines_backwards(files.files[0], block)]
    assert all(len(lines) <= SLICE for lines in found)
    assert [line for lines in found for line in lines] == text.split(b"\n")[::-1]


def test_the_newest_come_first_from_all_files(path):
    write(path, *lines(100, first=201))
    write(path.with_name("log.jsonl.1"), *lines(100, first=101))
    write(path.with_name("log.jsonl.2.gz"), gzip.compress(b"".join(lines(100))))
    scan, found = newest(path)
    assert found == [*range(300, 0, -1)]
    assert (scan.has_more, scan.broken) == (False, 0)
    assert newest(path, topic="all")[1] == [256, 192, 128, 64]
    assert newest(path, key="x-7")[1] == [7]


@pytest.mark.parametrize("limit", [1, 64, 100, 150, 250, 299])
def test_a_scan_that_reaches_its_limit_has_more(path, limit):
    write(path, *lines(100, first=201))
    write(path.with_name("log.jsonl.1"), *lines(100, first=101))
    write(path.with_name("log.jsonl.2.gz"), gzip.compress(b"".join(lines(100))))
    scan, found = newest(path, limit)
    assert found == [*range(300, 300 - limit, -1)]
    assert scan.has_more
    assert not newest(path, 300)[0].has_more


def test_a_scan_ends_a_minute_before_since(path):
    write(path, *lines(1000))
    scan, found = newest(path, since=NOW + 900)
    assert found == [*range(1000, 899, -1)]
    everything, _ = newest(path)
    assert everything.reached < scan.reached


def test_a_gzipped_file_is_read_back_to_since(path):
    write(path, *lines(10, first=1001))
    write(path.with_name("log.jsonl.1.gz"), gzip.compress(b"".join(lines(1000))))
    scan, found = newest(path, since=NOW + 700)
    assert found == [*range(1010, 699, -1)]
    assert not scan.has_more


def test_broken_lines_are_counted(path):
    good = list(lines(100))
    write(path, *good[:50], b"torn\n", *good[50:], b'{"timestamp":"20')
    scan, found = newest(path)
    assert found == [*range(100, 0, -1)]
    assert scan.broken == 2


def test_a_gzipped_file_is_kept_up_to_a_number_of_bytes(path):
    write(path, *lines(10, first=1001))
    write(path.with_name("log.jsonl.1.gz"), gzip.compress(b"".join(lines(1000))))
    write(path.with_name("log.jsonl.2"), b"".join(lines(10, "Scheduler-0")))
    scan, found = newest(path, kept_bytes=50_000)
    assert 50 < len(found) < 200
    assert found == [*range(1010, 1010 - len(found), -1)]
    assert (scan.has_more, scan.is_full) == (True, True)
    _, rest = newest(path, kept_bytes=10**6, until=scan.reached)
    assert rest[:2] == [found[-1], found[-1] - 1]
