from __future__ import annotations

import gzip
import os
import shutil
import time
import zlib

import pytest

from leandask import LogReader
from leandask.eventlog.frames.gzipcodec import GzipCodec
from leandask.eventlog.rotatingfile import RotatingFile
from leandask.reading.backward import BackwardScan
from leandask.reading.files import logfile
from leandask.reading.files.backwards import lines_backwards
from leandask.reading.files.listing import find_log
from leandask.reading.files.logfile import BLOCK, LONGEST_LINE
from leandask.reading.files.logfiles import OPEN_FILES, LogFiles, logs_at, open_logs
from leandask.reading.filter import Filter
from leandask.reading.lastrecords import LastRecords
from tests.helpers.logs import lines, write


def write_one(path, text=b'{"n":1}\n'):
    return write(path, gzip.compress(text) if path.suffix == ".gz" else text)


def names(files):
    return [file.path.name for file in files]


def found_names(base):
    return names(find_log(base).files)


def test_rotated_files_come_before_the_file_the_oldest_first(tmp_path):
    for name in ("log.jsonl", "log.jsonl.1", "log.jsonl.2.gz", "log.jsonl.10.gz"):
        write_one(tmp_path / name)
    for name in ("log.jsonl.old", "other.jsonl", "log.jsonl.1.gz.part", "log.json"):
        write_one(tmp_path / name)
    assert found_names(tmp_path / "log.jsonl") == [
        "log.jsonl.10.gz",
        "log.jsonl.2.gz",
        "log.jsonl.1",
        "log.jsonl",
    ]


def test_dates_of_logrotate_come_in_their_order(tmp_path):
    for name in ("log.jsonl-20261124", "log.jsonl-20261123.gz", "log.jsonl"):
        write_one(tmp_path / name)
    found = found_names(tmp_path / "log.jsonl")
    assert found == ["log.jsonl-20261123.gz", "log.jsonl-20261124", "log.jsonl"]


def test_a_file_that_is_being_compressed_is_read_once(tmp_path):
    for name in ("log.jsonl", "log.jsonl.1", "log.jsonl.1.gz"):
        write_one(tmp_path / name)
    assert found_names(tmp_path / "log.jsonl") == ["log.jsonl.1", "log.jsonl"]


def test_a_log_without_its_current_file_is_found(tmp_path):
    write_one(tmp_path / "log.jsonl.1")
    assert found_names(tmp_path / "log.jsonl") == ["log.jsonl.1"]


def test_a_missing_log_is_reported_by_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no log .*log\.jsonl"):
        list(open_logs(tmp_path / "log.jsonl"))
    with pytest.raises(FileNotFoundError, match=r"There is no log .*log\.jsonl"):
        list(open_logs(tmp_path / "folder" / "log.jsonl"))


def test_logs_of_a_folder_come_by_their_first_record(tmp_path):
    write_one(tmp_path / "a.jsonl", b'{"timestamp":"2026-11-24"}\n')
    write_one(tmp_path / "b.jsonl", b'{"timestamp":"2026-11-23"}\n')
    write_one(tmp_path / "b.jsonl.1.gz", b'{"timestamp":"2026-11-22"}\n')
    write_one(tmp_path / "c.jsonl.gz", b'{"timestamp":"2026-11-21"}\n')
    write_one(tmp_path / "scheduler.log", b"a text\n")
    write_one(tmp_path / "empty.jsonl", b"")
    found = [names(files.files) for files in open_logs(tmp_path)]
    assert found == [["c.jsonl.gz"], ["b.jsonl.1.gz", "b.jsonl"], ["a.jsonl"]]


def test_a_log_whose_oldest_file_is_empty_is_found(tmp_path):
    write_one(tmp_path / "log.jsonl.2", b"")
    write_one(tmp_path / "log.jsonl.1")
    [files] = open_logs(tmp_path)
    assert names(files.files) == ["log.jsonl.2", "log.jsonl.1"]


def test_a_broken_file_in_a_folder_does_not_hide_the_others(tmp_path):
    write_one(tmp_path / "log.jsonl")
    broken = bytearray(gzip.compress(b"x" * 1000))
    broken[12:20] = b"\xff" * 8
    (tmp_path / "foreign.log.gz").write_bytes(broken)
    read = [names(files.files) for files in open_logs(tmp_path)]
    assert ["log.jsonl"] in read


def test_a_folder_without_a_log_is_reported(tmp_path):
    write_one(tmp_path / "scheduler.log", b"a text\n")
    with pytest.raises(FileNotFoundError, match="no log in the folder"):
        list(open_logs(tmp_path))


def test_a_file_stays_open_when_it_is_renamed(tmp_path):
    path = write_one(tmp_path / "log.jsonl", b"1\n")
    with LogFiles.of(find_log(path)) as files:
        path.rename(tmp_path / "log.jsonl.1")
        write(path, b"2\n")
        assert [*files.files[0].blocks()] == [b"1\n"]


def test_a_file_that_is_renamed_after_it_was_found_is_read_once(tmp_path):
    path = write_one(tmp_path / "log.jsonl", b"1\n")
    found = find_log(path)
    path.rename(tmp_path / "log.jsonl.1")
    write(path, b"2\n")
    with LogFiles.of(found) as files:
        read = [[*file.blocks()] for file in files.oldest_first()]
    assert read == [[b"1\n"], [b"2\n"]]


def test_a_file_that_was_copied_and_emptied_after_it_was_found_is_not_missed(tmp_path):
    path = write_one(tmp_path / "log.jsonl", b"1\n")
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
    path = write_one(tmp_path / "log.jsonl", lines + b"torn")
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


def test_a_hole_is_not_read_to_its_end(tmp_path):
    path = write(tmp_path / "log.jsonl", b"1\n")
    os.truncate(path, 50 * 10**9)
    with LogFiles.of(find_log(path)) as files:
        [file] = files.files
        read = file.blocks()
        assert next(read) == b"1\n"
        with pytest.raises(OSError, match="no end of a line in"):
            next(read)
        with pytest.raises(OSError, match="no end of a line in"):
            next(lines_backwards(file))


def numbered(tmp_path, n):
    """A log of n files, each with its number as the only line; none is as long."""
    for i in range(1, n):
        write(tmp_path / f"log.jsonl.{n - i}", b"%d\n" % i)
    return write(tmp_path / "log.jsonl", b"%d\n" % n)


def rotate(tmp_path, n, times=1):
    for _ in range(times):
        for i in range(n, 0, -1):
            name = f"log.jsonl.{i - 1}" if i > 1 else "log.jsonl"
            (tmp_path / name).rename(tmp_path / f"log.jsonl.{i}")
        write(tmp_path / "log.jsonl", b"new\n")
        n += 1


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("direction", ["oldest_first", "newest_first"])
def test_few_of_many_files_are_open_at_a_time_and_renamed_ones_are_found(
    tmp_path, direction
):
    path = numbered(tmp_path, 100)
    before = open_files()
    numbers = []
    with LogFiles.of(find_log(path)) as files:
        for file in getattr(files, direction)():
            numbers += [int(line) for block in file.blocks() for line in block.split()]
            assert open_files() <= before + OPEN_FILES + 1
            if len(numbers) in (20, 60):
                rotate(tmp_path, len(os.listdir(tmp_path)), times=2)
    expected = [*range(1, 101)]
    assert numbers == (expected if direction == "oldest_first" else expected[::-1])
    assert open_files() == before


def test_a_file_that_is_removed_while_the_log_is_read_is_told(tmp_path):
    path = numbered(tmp_path, 100)
    with LogFiles.of(find_log(path)) as files:
        (tmp_path / "log.jsonl.50").unlink()
        errors = [file.error for file in files.oldest_first() if file.error]
    assert [str(error) for error in errors] == ["it was removed while the log was read"]


def test_a_log_of_a_folder_that_vanishes_hides_no_other(tmp_path):
    for name in "abc":
        write(tmp_path / f"{name}.jsonl", *lines(1, f"Scheduler-{name}"))
    reader = LogReader(tmp_path)
    found = []
    for record in reader.records():
        found.append(record["scheduler_id"])
        (tmp_path / "b.jsonl").unlink(missing_ok=True)
    assert found == ["Scheduler-a", "Scheduler-c"]
    [problem] = [p for p in reader.problems.notices if p.kind == "unreadable"]
    assert str(problem).startswith(f"{tmp_path}/b.jsonl:1: could not be read")


@pytest.fixture
def partly(tmp_path):
    """A folder with a log and files that even root can't open."""
    for name in ("log.jsonl.1", "other.jsonl"):
        (tmp_path / name).symlink_to(name)  # a loop
    return write(tmp_path / "log.jsonl", *lines(130, first=131))


@pytest.mark.parametrize(("at", "broken"), [("log.jsonl", 1), ("", 2)])
def test_a_file_that_can_not_be_opened_hides_no_other(partly, at, broken):
    path = partly.parent / at
    reader = LogReader(path)
    assert len([*reader.records()]) == 130
    assert reader.problems.counts["unreadable"] == broken
    last = LastRecords(Filter(), 1000)
    last.read(logs_at(path))
    assert len([*last.records()]) == 130
    assert last.problems.counts["unreadable"] == broken


def test_a_backward_scan_says_which_files_it_left_out(partly):
    scan = BackwardScan(partly, Filter(), 1000)
    assert sum(map(len, scan.slices())) == 130
    assert scan.left_out == [
        f"{partly}.1: could not be read to its end: Too many levels of symbolic links"
    ]
    assert scan.broken == 1
    assert scan.error is None


def test_if_no_file_can_be_opened_that_is_an_error(partly):
    partly.unlink()
    for path in (partly, partly.parent):
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            list(LogReader(path).records())
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            LastRecords(Filter(), 10).read(logs_at(path))


def test_all_lines_before_the_end_of_a_torn_gzipped_file_are_read(tmp_path):
    text = b"".join(lines(5000))
    whole = gzip.compress(text)
    path = tmp_path / "log.jsonl.1.gz"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    decompressed = zlib.decompressobj(31).decompress(path.read_bytes())
    reader = LogReader(tmp_path / "log.jsonl")
    assert len([*reader.records()]) >= decompressed.count(b"\n") - 1
    assert reader.problems.counts["unreadable"] == 1


@pytest.mark.parametrize("byte", [b"\0", b"\n", b"{}\n"])
@pytest.mark.parametrize("look", ["forward", "backward"])
def test_a_gzip_bomb_is_read_to_a_bound_and_told(tmp_path, monkeypatch, byte, look):
    monkeypatch.setattr(logfile, "EXPANDED", 2 * 2**20)
    monkeypatch.setattr(logfile, "SHORT_LINES", 1000)
    with gzip.open(tmp_path / "log.jsonl.1.gz", "wb") as f:
        f.write(next(lines(1)))
        for _ in range(20):
            f.write(byte * (2**20 // len(byte)))
    path = write(tmp_path / "log.jsonl", *lines(1, first=2))
    expanded = []
    parts = logfile.contents
    monkeypatch.setattr(
        logfile,
        "contents",
        lambda *args: (expanded.append(len(part)) or part for part in parts(*args)),
    )
    if look == "forward":
        reader = LogReader(path)
        assert [record["seq"] for record in reader.records()] == [1, 2]
    else:
        reader = BackwardScan(path, Filter(), 10)
        assert sum(map(len, reader.slices())) == 2
    compressed = path.with_name("log.jsonl.1.gz").stat().st_size
    assert sum(expanded) < 3 * 2**20 + GzipCodec.expansion * compressed
    [problem] = [p for p in reader.problems.notices if p.kind == "unreadable"]
    assert "it expands to more than" in problem.text or "too short" in problem.text


def test_a_scheduler_that_rotates_all_the_time_waits_while_files_are_found(
    tmp_path, monkeypatch
):
    path = tmp_path / "log.jsonl"
    log = RotatingFile(path, max_bytes=1, backups=100, compress=False)
    scandir = os.scandir

    def write_and_scandir(folder):
        log.write(bytearray(b"0\n"))
        log._rotate_at = 0.0  # it would wait for 50 ms
        return scandir(folder)

    for i in range(1, 51):
        log.write(bytearray(b"%d\n" % i))
    monkeypatch.setattr(os, "scandir", write_and_scandir)
    found = find_log(path)
    log.write(bytearray(b"0\n"))  # a rotation, so that all have other names
    with LogFiles.of(found) as files:
        numbers = []
        for file in files.newest_first():
            numbers += [int(line) for block in file.blocks() for line in block.split()]
            log.write(bytearray(b"0\n"))
    log.close()
    assert [n for n in numbers if n] == [*range(50, 0, -1)]
