from __future__ import annotations

import os

import pytest

from leandask.reading.files.listing import find_logs
from leandask.reading.filter import Filter
from leandask.reading.lastrecords import LastRecords
from tests.helpers.logs import lines, write


def last_of(folder, limit, **kwargs):
    last = LastRecords(Filter(), limit, **kwargs)
    last.read(find_logs(folder))
    return last


def seqs(last):
    return [record["seq"] for record in last.records()]


@pytest.fixture
def folder(tmp_path):
    for i in range(5):  # their records have the times of 1 to 100
        name = f"{i}.jsonl"
        write(tmp_path / name, *[*lines(100, f"Scheduler-{i}")][i::5])
    return tmp_path


@pytest.mark.parametrize("limit", [1, 7, 30, 99, 100, 1000])
def test_the_last_records_of_all_logs_come_by_time(folder, limit):
    last = last_of(folder, limit)
    assert seqs(last) == [*range(1, 101)][-limit:]
    assert not last.is_cut


def test_memory_is_bounded_in_bytes_and_a_cut_is_told(folder):
    nbytes = sum(path.stat().st_size for path in folder.iterdir())
    last = last_of(folder, 1000, kept_bytes=nbytes // 2)
    found = seqs(last)
    assert last.is_cut
    assert 30 < len(found) < 60
    assert found == [*range(101 - len(found), 101)]
    assert len(seqs(last_of(folder, 1000, kept_bytes=1))) == 1


def test_logs_that_are_older_than_the_last_records_are_not_read(folder):
    (folder / "old.jsonl.1.gz").write_bytes(b"no gzip")
    os.utime(folder / "old.jsonl.1.gz", (0, 0))
    assert not last_of(folder, 7).problems
    assert last_of(folder, 1000).problems.counts["unreadable"] == 1
