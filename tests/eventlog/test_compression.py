"""A log that is compressed as it is written."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time

import pytest

import leandask
from leandask.eventlog.eventlog import EventLog
from leandask.eventlog.linebuffer import WARNING_SECONDS, WARNINGS
from leandask.settings.logpath import UnusablePath, as_compressed
from tests.helpers.compressed import ENDINGS, codec_for, expanded, frame_of
from tests.helpers.processes import wait_for
from tests.helpers.sinks import put


@pytest.fixture(params=ENDINGS)
def path(request, tmp_path):
    return tmp_path / f"log.jsonl{request.param}"


def lines_of(*paths):
    return b"".join(map(expanded, paths)).decode().splitlines()


def test_what_was_flushed_can_be_read_while_the_file_grows(make_sink, path):
    sink = make_sink(path, flush_interval=60)
    for i in range(3):
        put(sink, f"{i} a", f"{i} b")
        sink.flush()
        assert lines_of(path)[-2:] == [f"{i} a", f"{i} b"]
    put(sink, "waits")
    assert lines_of(path)[-1] == "2 b"
    put(sink, "warning", level=logging.WARNING)
    assert lines_of(path)[-2:] == ["waits", "warning"]
    assert (sink.lines_written, sink.lines_lost, sink.errors) == (8, 0, 0)


def test_many_lines_share_a_frame(make_sink, path):
    sink = make_sink(path, flush_interval=60)
    put(sink, *(f'{{"seq":{i:06}}}' for i in range(100_000)))
    sink.flush()
    assert len(lines_of(path)) == 100_000
    n_frames = path.read_bytes().count(codec_for(path).signature)
    assert n_frames <= 100_000 * 16 / (256 * 1024) + 2


def test_a_storm_of_warnings_shares_frames_and_is_written_soon(make_sink, path):
    sink = make_sink(path, flush_interval=60)
    begun = time.monotonic()
    put(sink, *(f"{i:04}" for i in range(1000)), level=logging.WARNING)
    most = WARNINGS + (time.monotonic() - begun) / WARNING_SECONDS + 1
    assert WARNINGS <= path.read_bytes().count(codec_for(path).signature) <= most
    wait_for(lambda: sink.flush_if_due() or len(lines_of(path)) == 1000, 30)


@pytest.mark.parametrize(
    "name, compression, written",
    [
        ("a.jsonl", "auto", ("a.jsonl", "none")),
        ("a.jsonl.gz", "auto", ("a.jsonl.gz", "gzip")),
        ("a.jsonl.zst", "zstd", ("a.jsonl.zst", "zstd")),
        ("a.jsonl", "zstd", ("a.jsonl.zst", "zstd")),
        ("a.jsonl", "none", ("a.jsonl", "none")),
        ("/dev/null", "auto", ("/dev/null", "none")),
    ],
)
def test_the_name_of_a_file_says_how_it_is_compressed(name, compression, written):
    assert as_compressed(name, compression) == written


@pytest.mark.parametrize(
    "name, compression, told",
    [
        ("a.zst", "none", "must be auto or zstd for a path that ends with .zst; got"),
        ("a.gz", "zstd", "must be auto or gzip for a path that ends with .gz; got"),
        ("/dev/stdout", "zstd", "must be auto or none for a path that is not a file"),
    ],
)
def test_a_compression_that_the_name_belies_is_refused(name, compression, told):
    with pytest.raises(UnusablePath, match=f"event-log.compression {told}"):
        leandask.RotatingFileSink(name, compression=compression)


def test_a_pipe_is_not_compressed(make_sink, path):
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(UnusablePath, match="must be auto or none"):
            make_sink(path)
        path.rename(path.with_name("fifo"))
        sink = make_sink(path)
        path.with_name("fifo").rename(path)
        with pytest.raises(OSError, match="Only a file can be compressed"):
            sink.open()
    finally:
        os.close(reader)


NO_PACKAGE = """
import sys
sys.modules["compression"] = sys.modules["backports.zstd"] = None
from leandask.eventlog.eventlog import EventLog
EventLog(sys.argv[1], "Scheduler-1")
"""


def test_a_missing_package_is_told_at_the_start_with_key_package_and_extra(tmp_path):
    path = tmp_path / "log.jsonl.zst"
    run = subprocess.run(
        [sys.executable, "-c", NO_PACKAGE, path], capture_output=True, text=True
    )
    told = run.stderr.splitlines()[-1]
    for part in ("leandask.event-log.compression", "backports.zstd", "leandask[zstd]"):
        assert part in told
    assert "UnusablePath" in told
    assert not path.exists()


PLAIN = """
import sys
from leandask.eventlog.eventlog import EventLog
EventLog(sys.argv[1], "Scheduler-1").detach()
for name in sys.modules:
    assert "zstd" not in name and "codec" not in name.split(".")[-1][:-5], name
"""


def test_a_plain_log_imports_no_compression(tmp_path):
    subprocess.run([sys.executable, "-c", PLAIN, tmp_path / "log.jsonl"], check=True)
    assert (tmp_path / "log.jsonl").exists()


def test_a_torn_frame_is_cut_off_before_anything_follows(make_sink, path):
    whole, torn = frame_of(path, b"whole\n"), frame_of(path, b"torn\n" * 1000)
    for length in range(1, len(torn)):
        path.write_bytes(whole + torn[:length])
        sink = make_sink(path)
        put(sink, "after")
        sink.close()
        assert path.read_bytes().startswith(whole)
        assert codec_for(path).compress(bytearray(b"after\n")) in path.read_bytes()
        assert len(path.read_bytes()) < len(whole) * 3
    assert lines_of(path) == ["whole", "after"]


def test_a_frame_that_another_process_left_torn_is_cut_off(make_sink, path):
    sink = make_sink(path)
    put(sink, "a")
    sink.flush()
    with path.open("ab") as other:
        other.write(frame_of(path, b"b\n") + frame_of(path, b"killed\n" * 99)[:-3])
    put(sink, "c")
    sink.flush()
    assert lines_of(path) == ["a", "b", "c"]
    assert not sink.errors


HOLDING = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(path):
    """A function that starts a process which holds the lock of a write."""
    with contextlib.ExitStack() as stack:

        def start():
            pipe = subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", HOLDING, path], stdin=pipe, stdout=pipe
                )
            )
            assert process.stdout.readline() == b"held\n"
            return process

        yield start


def test_a_write_waits_for_that_of_another_process(make_sink, path, hold):
    sink = make_sink(path, retry_interval=0.0)
    sink.file.appender.lock_timeout = 0.01
    sink.open()
    other = hold()
    put(sink, "a")
    sink.flush()
    assert sink.failing
    other.communicate()
    put(sink, "b")
    sink.flush()
    assert lines_of(path) == ["a", "b"]
    assert not sink.lines_lost


def test_a_file_whose_lock_is_never_free_is_written(make_sink, path, hold):
    hold()
    sink = make_sink(path)
    sink.file.appender.lock_timeout = 0.01
    put(sink, "a")
    sink.flush()
    assert lines_of(path) == ["a"]


def test_a_file_that_was_emptied_and_has_grown_again_is_appended_to(make_sink, path):
    sink = make_sink(path)
    put(sink, "a")
    sink.flush()
    size = path.stat().st_size
    os.truncate(path, 0)
    with path.open("ab") as other:
        other.write(frame_of(path, *(b"%d\n" % i for i in range(99))) * 2)
    assert path.stat().st_size > size
    put(sink, "b")
    sink.flush()
    assert lines_of(path) == [*map(str, range(99)), *map(str, range(99)), "b"]
    os.truncate(path, 0)
    put(sink, "c")
    sink.flush()
    assert lines_of(path) == ["c"]


FULL = """
import logging, resource, signal, sys, random
import leandask
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = leandask.RotatingFileSink(sys.argv[1], retry_interval=0.0)
sink.setFormatter(logging.Formatter("%(message)s"))
noise = random.Random(1)
def put(*numbers):
    for n in numbers:
        text = f"{n} {noise.randbytes(50).hex()}"
        sink.handle(logging.LogRecord("x", 20, "", 1, text, None, None))
    sink.flush()
put(*range(100))
whole = open(sys.argv[1], "rb").read()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 500, resource.RLIM_INFINITY))
put(*range(100, 200))  # a part of the frame fits
assert sink.errors == 1, sink.errors
assert open(sys.argv[1], "rb").read() == whole
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
put(200)
sink.close()
assert (sink.lines_written, sink.lines_lost) == (201, 0)
"""


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_full_file_system_leaves_whole_frames_and_loses_none(path, is_shared):
    """With a limit on the file's size: the kernel writes a part, then refuses."""
    # Also where another process has it open: only one writes at a time.
    other = leandask.RotatingFileSink(path)
    if is_shared:
        other.open()
    subprocess.run([sys.executable, "-c", FULL, path], check=True)
    other.close()
    assert [line.split()[0] for line in lines_of(path)] == [*map(str, range(201))]


@pytest.mark.parametrize("backups", [0, 3])
def test_what_is_no_frame_is_rotated_and_kept(make_sink, path, backups):
    path.write_bytes(b"plain lines\nof another program\n")
    sink = make_sink(path, backups=backups)
    put(sink, "a")
    sink.close()
    assert lines_of(path) == ["a"]
    kept = path.with_name(f"log.jsonl.1{path.suffix}")
    assert kept.read_bytes() == b"plain lines\nof another program\n"


def test_files_are_rotated_by_their_size_on_the_disk_and_keep_their_ending(
    make_sink, path
):
    sink = make_sink(path, max_bytes=5000, backups=1000, compress=True)
    for i in range(500):
        put(sink, f"{i} " + os.urandom(50).hex())
        sink.flush()
    sink.close()
    names = [path.with_name(f"log.jsonl.{i}{path.suffix}") for i in range(99, 0, -1)]
    files = [name for name in names if name.exists()]
    assert len(files) > 5
    assert {*path.parent.iterdir()} == {*files, path}
    assert all(4000 < file.stat().st_size <= 5000 for file in files)
    assert [int(line.split()[0]) for line in lines_of(*files, path)] == [*range(500)]


def test_a_log_that_was_plain_before_keeps_its_rotated_files_in_order(make_sink, path):
    (path.parent / "log.jsonl.1").write_text("newer\n")
    (path.parent / "log.jsonl.2.gz").write_bytes(b"older")
    sink = make_sink(path, max_bytes=1, backups=3)
    for text in "ab":
        put(sink, text)
        sink.flush()
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(
        [path.name, f"log.jsonl.1{path.suffix}", "log.jsonl.2", "log.jsonl.3.gz"]
    )


def test_a_file_that_was_renamed_is_left_whole(make_sink, path):
    sink = make_sink(path)
    put(sink, "a")
    sink.flush()
    moved = path.rename(path.with_name("moved" + path.suffix))
    sink.reopen()
    put(sink, "b")
    sink.flush()
    assert (lines_of(moved), lines_of(path)) == (["a"], ["b"])


def test_an_event_log_takes_its_compression_from_the_configuration(tmp_path):
    import dask.config

    path = tmp_path / "log.jsonl"
    settings = {"leandask.event-log.path": str(path)}
    with dask.config.set(settings | {"leandask.event-log.compression": "gzip"}):
        log = EventLog.of("Scheduler-1")
    log.detach()
    assert [file.name for file in tmp_path.iterdir()] == ["log.jsonl.gz"]
