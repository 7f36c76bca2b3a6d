from __future__ import annotations

import os

import pytest

from leandask.reading.filter import Filter
from leandask.reading.follow import Follow
from tests.helpers.logs import lines, write


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "log.jsonl", *lines(5))


def append(path, text):
    with path.open("ab") as f:
        f.write(text)


def seqs(follow):
    return [record["seq"] for record in follow.records()]


def test_appended_records_come_once(path):
    with Follow(path, Filter()) as follow:
        assert seqs(follow) == []
        append(path, b"".join(lines(2, first=6)))
        assert seqs(follow) == [6, 7]
        assert seqs(follow) == []


def test_a_line_is_read_once_it_is_whole(path):
    (line,) = lines(1, first=6)
    with Follow(path, Filter()) as follow:
        append(path, line[:50])
        assert seqs(follow) == []
        append(path, line[50:])
        assert seqs(follow) == [6]


def test_rotated_files_are_read_to_their_end(path):
    with Follow(path, Filter()) as follow:
        append(path, b"".join(lines(1, first=6)))
        for i in (7, 8):  # two rotations between two reads
            for n in (1, 0):
                source = path.with_name(f"log.jsonl.{n}") if n else path
                if source.exists():
                    source.rename(path.with_name(f"log.jsonl.{n + 1}"))
            write(path, *lines(1, first=i))
        assert seqs(follow) == [6, 7, 8]


def test_a_record_written_just_before_a_rotation_is_read(path):
    with Follow(path, Filter()) as follow:
        read = follow._read

        def read_and_rotate():
            yield from read()
            follow._read = read
            append(path, b"".join(lines(1, first=6)))
            path.rename(path.with_name("log.jsonl.1"))
            write(path, *lines(1, first=7))

        follow._read = read_and_rotate
        assert seqs(follow) == [6, 7]


def test_a_file_that_is_emptied_is_read_from_its_start(path):
    with Follow(path, Filter()) as follow:
        write(path, *lines(1, first=6))
        assert seqs(follow) == [6]


def test_a_line_that_is_half_written_at_the_start_is_read_whole(path):
    (line,) = lines(1, first=6)
    append(path, line[:50])
    with Follow(path, Filter()) as follow:
        append(path, line[50:])
        assert seqs(follow) == [6]
        assert not follow.problems.counts["corrupt"]


def test_a_failed_write_that_is_cut_off_is_not_read_twice(path):
    nbytes = path.stat().st_size
    (line,) = lines(1, first=6)
    with Follow(path, Filter()) as follow:
        append(path, line[:50])
        assert seqs(follow) == []
        os.truncate(path, nbytes)
        assert seqs(follow) == []
        append(path, line)
        assert seqs(follow) == [6]
        assert not follow.problems.counts["corrupt"]


def test_a_file_that_is_removed_is_waited_for(path):
    with Follow(path, Filter()) as follow:
        path.unlink()
        assert seqs(follow) == []
        write(path, *lines(1, first=6))
        assert seqs(follow) == [6]


def test_unwanted_and_broken_lines_are_left_out(path):
    with Follow(path, Filter(topic="all")) as follow:
        append(path, b"torn\n" + b"".join(lines(100, first=6)))
        assert seqs(follow) == [64]
        assert follow.problems.counts["corrupt"] == 1


def test_a_file_that_was_emptied_and_has_grown_beyond_its_size_is_read_whole(path):
    with Follow(path, Filter()) as follow:
        write(path, *lines(20, first=6))
        assert seqs(follow) == [*range(6, 26)]
        assert not follow.problems.counts["corrupt"]


def test_a_file_that_is_emptied_and_grows_amid_a_read_is_read_from_its_start(path):
    nbytes = path.stat().st_size
    with Follow(path, Filter()) as follow:
        file = follow._file
        read_bytes = file._bytes

        def rewrite_and_read(begin, n):
            if begin == nbytes:
                file._bytes = read_bytes
                write(path, *lines(20, first=10))
            return read_bytes(begin, n)

        file._bytes = rewrite_and_read
        assert seqs(follow) == [*range(10, 30)]
        assert not follow.problems.counts["corrupt"]


def test_a_failed_write_that_is_written_again_at_once_is_read_once(path):
    nbytes = path.stat().st_size
    (line,) = lines(1, first=6)
    with Follow(path, Filter()) as follow:
        append(path, b"x" + line[:50])
        assert seqs(follow) == []
        os.truncate(path, nbytes)
        append(path, line)
        assert seqs(follow) == [6]
        assert not follow.problems.counts["corrupt"]


def test_a_line_without_an_end_takes_bounded_memory(path, monkeypatch):
    monkeypatch.setattr("leandask.reading.files.growing.LONGEST_LINE", 1000)
    with Follow(path, Filter()) as follow:
        for _ in range(10):
            append(path, b"x" * 1000)
            assert seqs(follow) == []
        assert len(follow._file._rest) <= 2000
        append(path, b"\n" + b"".join(lines(1, first=6)))
        assert seqs(follow) == [6]
        assert follow.problems.counts["corrupt"] == 1


def test_missing_records_are_counted(path):
    with Follow(path, Filter(topic="none")) as follow:
        append(path, b"".join(lines(2, first=6)))
        assert seqs(follow) == []
        append(path, b"".join(lines(2, first=18)))
        assert seqs(follow) == []
        assert follow.problems.missing == 10


def test_only_a_regular_file_is_followed(tmp_path):
    fifo = tmp_path / "log.jsonl"
    os.mkfifo(fifo)
    with pytest.raises(OSError, match="must be a regular file"):
        Follow(fifo, Filter())
