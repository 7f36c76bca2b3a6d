"""Reading a log that is compressed as it is written: forward, backward, as it grows."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc

import orjson
import pytest

from leandask import LogReader, RotatingFileSink
from leandask.eventlog.frames.zstdcodec import zstd
from leandask.reading.backward import BackwardScan
from leandask.reading.files.contents import SPAN_BYTES
from leandask.reading.files.listing import find_log
from leandask.reading.filter import Filter
from leandask.reading.follow import Follow
from leandask.reading.lastrecords import LastRecords
from tests.helpers.compressed import ENDINGS, codec_for, frame_of
from tests.helpers.logs import lines, write


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    return tmp_path / f"log.jsonl{request.param}"


def frames_of(path, n, size=10, first=1):
    """Frames of `size` lines, of n lines in all."""
    made = [*lines(n, first=first)]
    return [frame_of(path, *made[i : i + size]) for i in range(0, n, size)]


def forward(path, **filters):
    reader = LogReader(path)
    return [record["seq"] for record in reader.records(**filters)], reader.problems


def backward(path, limit=10**6, **filters):
    scan = BackwardScan(path, Filter(**filters), limit)
    found = [orjson.loads(line)["seq"] for part in scan.slices() for line in part]
    return found[::-1], scan.problems


BOTH = pytest.mark.parametrize("read", [forward, backward])


def large_frames(path, n):
    """Frames that take more bytes than are read at once, several times."""
    noise = random.Random(1)
    made = []
    for i, line in enumerate(lines(n), 1):
        record = orjson.loads(line) | {"message": noise.randbytes(500).hex()}
        made.append(orjson.dumps(record) + b"\n")
        if i % 10 == 0:
            yield frame_of(path, *made)
            made.clear()


@BOTH
def test_every_record_is_read_in_order(path, read):
    write(path, *large_frames(path, 1000))
    assert path.stat().st_size > 5 * SPAN_BYTES
    found, problems = read(path)
    assert found == [*range(1, 1001)]
    assert not problems


def test_the_last_records_are_read_without_those_before_them(path, monkeypatch):
    write(path, *large_frames(path, 1000))
    nbytes = 0
    codec = type(codec_for(path))
    decoder = codec.decoder

    class Counting:
        def __init__(self, inner):
            self.inner = inner

        def decompress(self, data, max_length):
            nonlocal nbytes
            nbytes += len(data)
            return self.inner.decompress(data, max_length)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    monkeypatch.setattr(codec, "decoder", lambda self: Counting(decoder(self)))
    last = LastRecords(Filter(), 5)
    last.read([find_log(path)])
    assert [record["seq"] for record in last.records()] == [*range(996, 1001)]
    assert 0 < nbytes <= 2 * SPAN_BYTES
    found, _ = backward(path, limit=10, since="2000-01-01")
    assert found == [*range(991, 1001)]


@BOTH
def test_a_torn_frame_at_the_end_is_told_and_nothing_before_it_missed(path, read):
    frames = frames_of(path, 40)
    for length in range(1, len(frames[-1]), 7):
        write(path, *frames[:-1], frames[-1][:length])
        found, problems = read(path)
        assert found[:30] == [*range(1, 31)]
        assert problems.counts["torn"] == 1
        assert not problems.counts["unreadable"]
        text = str(problems.notices[-1])
        assert "ends too early, or is being written" in text


def test_a_log_whose_first_frame_is_torn_is_found_in_a_folder_and_told(path):
    write(path, frame_of(path, *lines(100))[:-20])
    _, problems = forward(path.parent)
    assert problems.counts["torn"] == 1


@BOTH
@pytest.mark.parametrize("length", [1, 30, -1])
def test_what_follows_a_torn_frame_is_read(path, read, length):
    frames = frames_of(path, 60)
    frames[2] = frames[2][:length]
    write(path, *frames)
    found, problems = read(path)
    rest = [*range(1, 21), *range(31, 61)]
    assert [seq for seq in found if not 20 < seq <= 30] == rest
    assert problems.counts["torn"] + problems.counts["unreadable"] == 1


@BOTH
def test_what_follows_damaged_bytes_is_read(path, read):
    frames = [*large_frames(path, 600)]
    damaged = bytearray(frames[30])
    damaged[len(damaged) // 2 :][:100] = b""
    damaged[len(damaged) // 2] ^= 0xFF
    write(path, *frames[:30], damaged, bytes(1000), *frames[31:])
    found, problems = read(path)
    rest = [*range(1, 301), *range(311, 601)]
    assert [seq for seq in found if not 300 < seq <= 310] == rest
    assert 1 <= problems.counts["torn"] + problems.counts["unreadable"] <= 2


@BOTH
@pytest.mark.parametrize("length", [0, 150_000])
def test_a_file_of_another_program_is_read_whose_frames_end_within_lines(
    path, read, length
):
    """Also if no line ends in a frame."""
    noise = random.Random(1)
    made = [*lines(3000 if not length else 20)]
    for i, line in enumerate(made):
        record = orjson.loads(line) | {"message": noise.randbytes(length // 2).hex()}
        made[i] = orjson.dumps(record) + b"\n"
    text = b"".join(made)
    pieces = [text[i : i + 70_001] for i in range(0, len(text), 70_001)]
    compress = gzip.compress if path.suffix == ".gz" else zstd.compress
    write(path, *map(compress, pieces))
    found, problems = read(path)
    assert found == [*range(1, len(made) + 1)]
    assert not problems


@BOTH
def test_a_log_whose_compression_was_changed_is_read_whole(tmp_path, read):
    names = ["log.jsonl", "log.jsonl.zst", "log.jsonl.gz"]
    every = [*lines(300)]
    for i, name in enumerate(names):
        sink = RotatingFileSink(tmp_path / name, max_bytes=3000, backups=1000)
        for line in every[i * 100 : i * 100 + 100]:
            sink.buffer.add(line.rstrip(b"\n"), 20)
            sink.flush()
        sink.close()
        for file in tmp_path.iterdir():  # as if time had passed
            os.utime(file, times=(0, file.stat().st_mtime - 10))
    for name in names:
        found, problems = read(tmp_path / name)
        assert found == [*range(1, 301)]
        assert not problems
    assert find_log(tmp_path / "log.jsonl").base.name == "log.jsonl.gz"


@BOTH
@pytest.mark.parametrize("name", ["log.jsonl{}.1", "log.jsonl{}-20261124"])
def test_a_file_that_logrotate_renamed_is_read(path, read, name):
    write(path.with_name(name.format(path.suffix)), *frames_of(path, 20))
    write(path, *frames_of(path, 20, first=21))
    found, problems = read(path)
    assert found == [*range(1, 41)]
    assert not problems
    [found_in_folder] = {tuple(forward(path.parent)[0])}
    assert [*found_in_folder] == found


@BOTH
@pytest.mark.parametrize("byte", [b"\0", b"\n", b"x"])
def test_a_bomb_takes_bounded_memory(tmp_path, read, byte):
    path = tmp_path / "log.jsonl.zst"
    bomb = zstd.compress(byte * 2**30)
    write(path, frame_of(path, *lines(5)), bomb, frame_of(path, *lines(5, first=6)))
    tracemalloc.start()
    found, problems = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20
    assert {*found} <= {*range(1, 11)}
    assert problems.counts["unreadable"]


@BOTH
def test_a_window_that_takes_too_much_memory_is_refused_and_told(tmp_path, read):
    path = tmp_path / "log.jsonl.zst"
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    wide = compressor.compress(b"".join(lines(5))) + compressor.flush()
    write(path, wide, frame_of(path, *lines(5, first=6)))
    found, problems = read(path)
    assert found == [*range(6, 11)]
    assert problems.counts["unreadable"] == 1
    assert "memory" in str(problems.notices[0])


def seqs(follow):
    return [record["seq"] for record in follow.records()]


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_frames_are_followed_once_they_are_whole(path):
    write(path, *frames_of(path, 20))
    with Follow(path, Filter()) as follow:
        assert seqs(follow) == []
        [frame] = frames_of(path, 10, first=21)
        for cut in (3, 30):
            append(path, frame[:cut])
            assert seqs(follow) == []
            os.truncate(path, path.stat().st_size - cut)  # it failed: again
        append(path, frame + b"".join(frames_of(path, 20, first=31)))
        assert seqs(follow) == [*range(21, 51)]
        assert seqs(follow) == []
        assert not follow.problems.counts["torn"]


def test_rotated_and_emptied_files_are_followed(path):
    write(path, *frames_of(path, 10))
    with Follow(path, Filter()) as follow:
        append(path, b"".join(frames_of(path, 10, first=11)))
        path.rename(path.with_name(f"log.jsonl.1{path.suffix}"))
        write(path, *frames_of(path, 10, first=21))
        assert seqs(follow) == [*range(11, 31)]
        write(path, *frames_of(path, 60, first=31))  # copytruncate, and it has grown
        assert seqs(follow) == [*range(31, 91)]
        os.truncate(path, 0)
        append(path, b"".join(frames_of(path, 10, first=91)))
        assert seqs(follow) == [*range(91, 101)]


def test_a_torn_frame_is_told_when_another_follows_it(path):
    write(path, *frames_of(path, 10))
    with Follow(path, Filter()) as follow:
        append(path, frames_of(path, 10, first=11)[0][:-5])
        assert seqs(follow) == []
        append(path, b"".join(frames_of(path, 20, first=21)))
        found = seqs(follow)
        append(path, b"".join(frames_of(path, 10, first=41)))
        found += seqs(follow)
        assert found[-20:] == [*range(31, 51)]
        counts = follow.problems.counts
        assert counts["torn"] + counts["unreadable"]
