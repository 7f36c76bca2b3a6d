"""Frames: other programs read them, and their ends are found by their headers."""

from __future__ import annotations

import gzip
import random

import pytest

from leandask.eventlog.frames.codec import BrokenFrame, TornFrame, codec_of
from leandask.eventlog.frames.walk import find_frame, frame_ends
from leandask.eventlog.frames.zstdcodec import zstd

OPTIONS = zstd.CompressionParameter
TEXTS = {
    "empty": b"",
    "line": b'{"a":1}\n',
    "run": b"x" * 500_000,
    "lines": b"".join(b'{"seq":%d}\n' % i for i in range(50_000)),
    "noise": random.Random(1).randbytes(400_000),
}


@pytest.fixture(params=["gzip", "zstd"])
def codec(request):
    return codec_of(request.param)


def ends_in(path, codec, begin=0, **how):
    with path.open("rb") as file:
        return [*frame_ends(file.fileno(), codec, begin, **how)]


def ends_of(frames):
    return [len(b"".join(frames[: i + 1])) for i in range(len(frames))]


def reader_of(data):
    return lambda begin, n: data[begin : begin + n]


def test_a_frame_is_what_its_format_says(codec):
    expand = gzip.decompress if codec is not None and codec.padding else zstd.decompress
    for text in TEXTS.values():
        assert expand(codec.compress(bytearray(text))) == text
    both = codec.compress(bytearray(b"a\n")) + codec.compress(bytearray(b"b\n"))
    assert expand(both) == b"a\nb\n"


def test_the_end_of_each_frame_is_found(tmp_path, codec):
    frames = [codec.compress(bytearray(text)) for text in TEXTS.values()]
    path = tmp_path / "file"
    path.write_bytes(b"".join(frames))
    assert ends_in(path, codec) == ends_of(frames)
    assert ends_in(path, codec, len(frames[0])) == ends_of(frames)[1:]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("checksum", [0, 1])
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("level", [1, 19])
def test_the_end_of_frames_of_other_programs_is_found(
    tmp_path, text, checksum, size, level
):
    options = {
        OPTIONS.compression_level: level,
        OPTIONS.checksum_flag: checksum,
        OPTIONS.content_size_flag: size,
    }
    one = zstd.compress(text, options=options)
    streaming = zstd.ZstdCompressor(options=options)
    other = b"".join(streaming.compress(text[i::3]) for i in range(3))
    other += streaming.flush()
    skippable = b"\x5a\x2a\x4d\x18" + (300).to_bytes(4, "little") + bytes(300)
    frames = [one, other, skippable, one]
    path = tmp_path / "file"
    path.write_bytes(b"".join(frames))
    assert ends_in(path, codec_of("zstd")) == ends_of(frames)


def test_a_gzipped_file_without_sizes_is_expanded_only_if_asked(tmp_path):
    ours = codec_of("gzip").compress(bytearray(TEXTS["line"]))
    frames = [ours, *map(gzip.compress, TEXTS.values()), ours]
    path = tmp_path / "file"
    path.write_bytes(b"".join(frames))
    assert ends_in(path, codec_of("gzip")) == ends_of(frames)
    assert ends_in(path, codec_of("gzip"), expands=False) == [len(ours)]


def test_a_frame_is_torn_wherever_it_is_cut(tmp_path, codec):
    whole = codec.compress(bytearray(TEXTS["line"]))
    frame = codec.compress(bytearray(TEXTS["line"] * 100))
    path = tmp_path / "file"
    for length in range(1, len(frame)):
        path.write_bytes(whole + frame[:length])
        with path.open("rb") as file:
            ends = frame_ends(file.fileno(), codec)
            assert next(ends) == len(whole)
            with pytest.raises(TornFrame):
                next(ends)


@pytest.mark.parametrize("garbage", [b"{}\n", bytes(100), b"\x1f\x8c", b"\x28\xb5\x30"])
def test_what_is_no_frame_is_broken(codec, garbage):
    with pytest.raises(BrokenFrame):
        codec.frame_end(reader_of(garbage), 0)


def test_headers_that_lie_end_the_walk(tmp_path):
    path = tmp_path / "file"
    frame = codec_of("gzip").compress(bytearray(b"a\n"))
    path.write_bytes(frame[:16] + bytes(4) + frame[20:])  # a size of 0
    with pytest.raises(BrokenFrame):
        ends_in(path, codec_of("gzip"))
    path.write_bytes(frame[:16] + b"\xff" * 4 + frame[20:])
    with pytest.raises(TornFrame):
        ends_in(path, codec_of("gzip"))


def test_the_next_frame_is_found_behind_garbage(codec):
    frame = codec.compress(bytearray(TEXTS["line"]))
    for n in (1, 5, 64 * 1024 - 3, 64 * 1024, 200_000):
        data = codec.signature[:3] * (n // 3) + b"x" * (n % 3) + frame
        assert find_frame(reader_of(data), codec, 0) == n
    assert find_frame(reader_of(b"x" * 100_000), codec, 0) is None


def test_a_frame_is_expanded_in_bounded_parts(codec):
    decoder = codec.decoder()
    frame = codec.compress(bytearray(TEXTS["run"] * 20))
    parts = [decoder.decompress(frame, 1000)]
    while not decoder.eof:
        parts.append(decoder.decompress(b"", 1000))
    assert max(map(len, parts)) == 1000
    assert sum(map(len, parts)) == len(TEXTS["run"]) * 20
