from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

import pytest

from leandask import rotatingfile, sinks
from tests.sinks import put

LEANDASK = logging.getLogger("leandask")


@pytest.fixture
def told():
    """Have what leandask logs of itself reach a sink as lines."""
    added = []

    def add(sink):
        added.append(sink)
        LEANDASK.addHandler(sink)

    yield add
    for sink in added:
        LEANDASK.removeHandler(sink)


def test_sinks_of_one_file_rotate_it_together(make_sink, tmp_path):
    one, other = (make_sink(max_bytes=30, backups=100) for _ in range(2))
    for i in range(50):
        sink = (one, other)[i % 2]
        put(sink, f"line-{i:04}")
        sink.flush()
    names = sorted(tmp_path.iterdir(), key=lambda path: -int(path.suffix[1:] or 0))
    lines = [line for path in names for line in path.read_text().splitlines()]
    assert lines == [f"line-{i:04}" for i in range(50)]
    assert [path.stat().st_size for path in names] == [30] * 16 + [20]


def test_what_is_asked_for_last_holds_for_a_file(make_sink):
    one, other = make_sink(max_bytes=10, backups=3), make_sink(max_bytes=20, backups=4)
    assert one.file is other.file
    assert (one.file.max_bytes, one.file.backups) == (20, 4)


def test_a_rotated_file_that_cannot_be_gzipped_stays_and_is_told(
    make_sink, told, tmp_path
):
    sink = make_sink(max_bytes=30, backups=100, compress=True)
    told(sink)  # so that the thread that fails would wait for itself to be told
    (tmp_path / "log.1.gz.part").mkdir()

    def write():
        for i in range(20):
            put(sink, f"line-{i:04}")
            sink.flush()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    sink.file.join()
    text = "".join(
        path.read_text() for path in tmp_path.iterdir() if path.name.count(".") < 2
    )
    assert {f"line-{i:04}" for i in range(20)} < set(text.split("\n"))
    assert f"Can't compress {tmp_path / 'log.1'}: [Errno 21]" in text
    assert not list(tmp_path.glob("log.*.gz"))


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_where_no_thread_can_start_a_rotated_file_stays(
    make_sink, tmp_path, monkeypatch, caplog
):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(rotatingfile.threading.Thread, "start", refuse)
    sink = make_sink(max_bytes=30, backups=100, compress=True)
    for i in range(10):
        put(sink, f"line-{i:04}")
        sink.flush()
    sink.close()
    assert len(list(tmp_path.iterdir())) == 4
    assert sink.lines_written == 10
    assert "can't start new thread. It stays as it is" in caplog.text


FULL = """
import logging, os, resource, signal, sys
import leandask
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logging.basicConfig()
sink = leandask.RotatingFileSink(sys.argv[1], max_bytes=10_000, compress=True)
sink.setFormatter(logging.Formatter("%(message)s"))
def put(text):
    sink.handle(logging.makeLogRecord({"msg": text, "levelno": 20}))
    sink.flush()
put(os.urandom(8000).hex()[:9900])
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
put("x" * 200)
sink.file.join()
put("y")
sink.close()
"""


def test_a_gzipped_file_that_finds_no_room_leaves_nothing(tmp_path):
    """With a limit on the file's size: the kernel refuses what is beyond."""
    program = [sys.executable, "-c", FULL, tmp_path / "log"]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    assert "Can't compress" in done.stderr


def test_lines_that_waited_are_written_once_where_their_end_is_told_there_too(
    make_sink, told, tmp_path
):
    (tmp_path / "log").mkdir()
    sink = make_sink()
    told(sink)
    put(sink, "a")
    sink.flush()
    (tmp_path / "log").rmdir()
    sink._retry_at = 0.0
    sink.flush()
    first, *others = (tmp_path / "log").read_text().splitlines()
    assert first == "a"
    assert len([line for line in others if line.endswith("is written again")]) == 1
    assert "a" not in others
    assert sink.lines_written == 1 + len(others)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_closing_does_not_wait_for_a_write_that_hangs(
    make_sink, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(sinks, "HANG_SECONDS", 0.05)
    path = tmp_path / "log"
    os.mkfifo(path)
    sink = make_sink(path, max_bytes=None)
    lines = ["x" * 1023] * 3000  # more than a pipe holds
    writer = threading.Thread(target=put, args=(sink, *lines), daemon=True)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer.start()
    while sink.file.lock.acquire(timeout=0.5):  # it never hangs for so long else
        sink.file.lock.release()
        writer.join(0.01)
        assert writer.is_alive()
    put(sink, "y")  # who logs a line does not wait
    sink.close()
    assert "hangs in a write" in caplog.text
    assert sink.lines_lost > 0
    sink.acquire()  # as logging.shutdown does
    sink.flush()
    sink.close()
    sink.release()
    path.unlink()  # what comes after is a file
    while writer.is_alive():
        try:
            os.read(reader, 1024 * 1024)
        except BlockingIOError:
            writer.join(0.01)
    os.close(reader)


def test_a_line_after_the_end_opens_the_file_anew(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    sink.close()
    put(sink, "b")
    sink.close()
    assert (tmp_path / "log").read_text() == "a\nb\n"
