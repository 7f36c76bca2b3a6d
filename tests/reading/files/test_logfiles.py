from __future__ import annotations

import gzip
import os
import shutil
import time

import pytest

from leandask.eventlog.rotatingfile import RotatingFile
from leandask.reading.files.listing import find_log
from leandask.reading.files.logfile import BLOCK, LONGEST_LINE
from leandask.reading.files.logfiles import LogFiles, open_logs


def write(path, text=b'{"n":1}\n'):
    if path.suffix == ".gz":
        text = gzip.compress(text)
    path.write_bytes(text)
    return path


def names(files):
    return [file.path.name for file in files]


def found_names(base):
    return names(find_log(base).files)


def test_rotated_files_come_before_the_file_the_oldest_first(tmp_path):
    for name in ("log.jsonl", "log.jsonl.1", "log.jsonl.2.gz", "log.jsonl.10.gz"):
        write(tmp_path / name)
    for name in ("log.jsonl.old", "other.jsonl", "log.jsonl.1.gz.part", "log.json"):
        write(tmp_path / name)
    assert found_names(tmp_path / "log.jsonl") == [
        "log.jsonl.10.gz",
        "log.jsonl.2.gz",
        "log.jsonl.1",
        "log.jsonl",
    ]


def test_dates_of_logrotate_come_in_their_order(tmp_path):
    for name in ("log.jsonl-20261124", "log.jsonl-20261123.gz", "log.jsonl"):
        write(tmp_path / name)
    found = found_names(tmp_path / "log.jsonl")
    assert found == ["log.jsonl-20261123.gz", "log.jsonl-20261124", "log.jsonl"]


def test_a_file_that_is_being_compressed_is_read_once(tmp_path):
    for name in ("log.jsonl", "log.jsonl.1", "log.jsonl.1.gz"):
        write(tmp_path / name)
    assert found_names(tmp_path / "log.jsonl") == ["log.jsonl.1", "log.jsonl"]


def test_a_log_without_its_current_file_is_found(tmp_path):
    write(tmp_path / "log.jsonl.1")
    assert found_names(tmp_path / "log.jsonl") == ["log.jsonl.1"]


def test_a_missing_log_is_reported_by_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no log .*log\.jsonl"):
        list(open_logs(tmp_path / "log.jsonl"))
    with pytest.raises(FileNotFoundError, match=r"There is no log .*log\.jsonl"):
        list(open_logs(tmp_path / "folder" / "log.jsonl"))


def test_logs_of_a_folder_come_by_their_first_record(tmp_path):
    write(tmp_path / "a.jsonl", b'{"timestamp":"2026-11-24"}\n')
    write(tmp_path / "b.jsonl", b'{"timestamp":"2026-11-23"}\n')
    write(tmp_path / "b.jsonl.1.gz", b'{"timestamp":"2026-11-22"}\n')
    write(tmp_path / "c.jsonl.gz", b'{"timestamp":"2026-11-21"}\n')
    write(tmp_path / "scheduler.log", b"a text\n")
    write(tmp_path / "empty.jsonl", b"")
    found = [names(files.files) for files in open_logs(tmp_path)]
    assert found == [["c.jsonl.gz"], ["b.jsonl.1.gz", "b.jsonl"], ["a.jsonl"]]


def test_a_log_whose_oldest_file_is_empty_is_found(tmp_path):
    write(tmp_path / "log.jsonl.2", b"")
    write(tmp_path / "log.jsonl.1")
    [files] = open_logs(tmp_path)
    assert names(files.files) == ["log.jsonl.2", "log.jsonl.1"]


def test_a_broken_file_in_a_folder_does_not_hide_the_others(tmp_path):
    write(tmp_path / "log.jsonl")
    broken = bytearray(gzip.compress(b"x" * 1000))
    broken[12:20] = b"\xff" * 8
    (tmp_path / "foreign.log.gz").write_bytes(broken)
    read = [names(files.files) for files in open_logs(tmp_path)]
    assert ["log.jsonl"] in read


def test_a_folder_without_a_log_is_reported(tmp_path):
    write(tmp_path / "scheduler.log", b"a text\n")
    with pytest.raises(FileNotFoundError, match="no log in the folder"):
        list(open_logs(tmp_path))


def test_a_file_stays_open_when_it_is_renamed(tmp_path):
    path = write(tmp_path / "log.jsonl", b"1\n")
    with LogFiles.of(find_log(path)) as files:
        path.rename(tmp_path / "log.jsonl.1")
        write(path, b"2\n")
        assert [*files.files[0].blocks()] == [b"1\n"]


def test_a_file_that_is_renamed_after_it_was_found_is_read_once(tmp_path):
    path = write(tmp_path / "log.jsonl", b"1\n")
    found = find_log(path)
    path.rename(tmp_path / "log.jsonl.1")
    write(path, b"2\n")
    with LogFiles.of(found) as files:
        read = [[*file.blocks()] for file in files.oldest_first()]
    assert read == [[b"1\n"], [b"2\n"]]


def test_a_file_that_was_copied_and_emptied_after_it_was_found_is_not_missed(tmp_path):
    path = write(tmp_path / "log.jsonl", b"1\n")
    found = find_log(path)
    shutil.copy(path, tmp_path / "log.jsonl.1")
    os.truncate(path, 0)
    with LogFiles.of(found) as files:
        read = [[*file.blocks()] for file in files.oldest_first()]
    assert read == [[b"1\n"], []]


def test_a_file_that_is_compressed_while_the_log_is_opened_is_not_missed(tmp_path):
    path, rotated = tmp_path / "log.jsonl", tmp_path / "log.jsonl.1"
    log = RotatingFile(path, max_bytes=1, backups=1, compress=True)
    log.write(bytearray(b"0\n"))
    deadline = time.monotonic() + 60
    for _ in range(100):
        log.write(bytearray(b"0\n"))  # rotates
        while rotated.exists():  # until it is compressed
            assert time.monotonic() < deadline
            with LogFiles.of(find_log(path)) as files:
                assert len(files.files) == 2
    log.join()
    log.close()


def test_blocks_end_at_the_end_of_a_line(tmp_path):
    lines = b"".join(b"%0100d\n" % i for i in range(10_000))
    path = write(tmp_path / "log.jsonl", lines + b"torn")
    with LogFiles.of(find_log(path)) as files:
        blocks = [*files.files[0].blocks()]
    assert b"".join(blocks) == lines + b"torn"
    assert blocks[-1] == b"torn"
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    assert max(map(len, blocks)) <= BLOCK + 101


def test_a_line_without_an_end_takes_bounded_memory(tmp_path):
    path = tmp_path / "log.jsonl"
    with path.open("wb") as f:
        f.truncate(4 * LONGEST_LINE)  # NULs, as after a crash of the machine
        f.seek(0, os.SEEK_END)
        f.write(b"\n1\n")
    with LogFiles.of(find_log(path)) as files:
        blocks = [*files.files[0].blocks()]
    assert sum(map(len, blocks)) <= LONGEST_LINE + 2 * BLOCK
    assert blocks[-1].endswith(b"\n1\n")
