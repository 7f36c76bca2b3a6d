from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from leandask.eventlog import rotatingfile
from tests.helpers.processes import wait_for
from tests.helpers.sinks import put

LEANDASK = logging.getLogger("leandask")


@pytest.fixture
def report_to():
    """Have the reports of leandask itself reach a sink as lines."""
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


def test_the_last_settings_of_a_file_apply(make_sink):
    one, other = make_sink(max_bytes=10, backups=3), make_sink(max_bytes=20, backups=4)
    assert one.file is other.file
    assert (one.file.max_bytes, one.file.backups) == (20, 4)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("is_done", [False, True])
def test_no_line_goes_to_a_file_that_another_process_compresses(
    make_sink, tmp_path, monkeypatch, is_open, is_done
):
    path = tmp_path / "log"
    sink = make_sink()
    put(sink, "before")
    sink.flush()
    if not is_open:
        sink.file.close()
    is_alone = rotatingfile.is_alone

    def compressed(fd):  # before the file is locked here
        monkeypatch.setattr(rotatingfile, "is_alone", is_alone)
        path.unlink()
        if not is_done:
            raise BlockingIOError
        return is_alone(fd)

    monkeypatch.setattr(rotatingfile, "is_alone", compressed)
    sink.file.recheck()
    put(sink, "line")
    sink.flush()
    assert path.read_text() == "line\n"
    assert not sink.failing


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [(rotatingfile.Turn, "take", 1), (rotatingfile, "is_alone", 2)],
)
def test_no_line_goes_to_a_file_whose_rotation_has_to_wait_for_its_compression(
    make_sink, tmp_path, monkeypatch, owner, name, calls
):
    path = tmp_path / "log"
    sink = make_sink(max_bytes=10, backups=1)
    put(sink, "before")
    sink.flush()
    original, called = getattr(owner, name), []

    def compressed(*args):
        called.append(args)
        if len(called) < calls:
            return original(*args)
        monkeypatch.undo()
        path.rename(tmp_path / "log.1")  # it is read now, and then removed
        raise BlockingIOError

    monkeypatch.setattr(owner, name, compressed)
    put(sink, "line")
    sink.flush()
    assert path.read_text() == "line\n"
    assert len(called) == calls


def test_a_file_that_fails_to_close_is_opened_again(make_sink, tmp_path, caplog):
    sink = make_sink()
    put(sink, "before")
    sink.flush()
    os.close(sink.file.open())  # so that it can't be written nor closed
    put(sink, "line")
    sink.flush()
    assert sink.failing
    wait_for(lambda: sink.flush_if_due() or not sink.failing)
    assert (tmp_path / "log").read_text() == "before\nline\n"
    assert "Can't close" in caplog.text


def test_a_rotated_file_that_cannot_be_gzipped_stays_and_is_reported(
    make_sink, report_to, tmp_path
):
    sink = make_sink(max_bytes=30, backups=100, compress=True)
    report_to(sink)  # a report from the thread would wait for the thread itself
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
    assert f"Can't gzip {tmp_path / 'log.1'}: [Errno 21]" in text
    assert not list(tmp_path.glob("log.*.gz"))


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_rotated_file_stays_where_no_thread_can_start(
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


def test_gzip_without_disk_space_leaves_no_partial_file(tmp_path):
    """With a limit on the file's size: the kernel refuses what is beyond."""
    program = [sys.executable, "-c", FULL, tmp_path / "log"]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    assert "Can't gzip" in done.stderr


@pytest.fixture
def writable_again(make_sink, report_to, tmp_path):
    """A sink with a line that waits, which gets its own reports, and can write now."""
    (tmp_path / "log").mkdir()
    sink = make_sink()
    report_to(sink)
    put(sink, "a")
    sink.flush()
    (tmp_path / "log").rmdir()
    return sink


def test_waiting_lines_are_written_once_by_a_sink_that_gets_its_own_reports(
    writable_again, tmp_path
):
    sink = writable_again
    sink.retry.allow()
    sink.flush()
    first, *others = (tmp_path / "log").read_text().splitlines()
    assert first == "a"
    assert len([line for line in others if line.endswith("can be written again")]) == 1
    assert "a" not in others
    assert sink.lines_written == 1 + len(others)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")
def test_a_signal_handler_may_log_while_a_line_is_added(make_sink):
    sink = make_sink()
    before = signal.signal(signal.SIGUSR1, lambda *_: put(sink, "signal"))
    try:
        with sink.buffer._lock:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sink.buffer.lines == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_closing_does_not_wait_for_a_write_that_hangs(make_sink, tmp_path, caplog):
    path = tmp_path / "log"
    os.mkfifo(path)
    sink = make_sink(path, max_bytes=None, close_timeout=0.05)
    sink.file.appender.write_timeout = 30  # as a file on a disk that hangs
    lines = ["x" * 1023] * 3000  # more than a pipe holds
    writer = threading.Thread(target=put, args=(sink, *lines), daemon=True)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer.start()
    while sink.file.lock.acquire(timeout=0.5):  # no write takes so long unless it hangs
        sink.file.lock.release()
        writer.join(0.01)
        assert writer.is_alive()
    put(sink, "y")  # a caller of logging does not wait
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
    sink.close()
    assert sink.lines_written + sink.lines_lost == 3001


HANGING = """
import logging, logging.config, os, select, sys, threading, time
import leandask
path, close_timeout, act, end = sys.argv[1:]
os.mkfifo(path)
pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
os.set_blocking(pipe, True)
sink = leandask.RotatingFileSink(
    path, max_bytes=None, close_timeout=float(close_timeout)
)
sink.file.appender.write_timeout = 30  # as a file on a disk that hangs
sink.setFormatter(logging.Formatter("%(message)s"))
def put(text):
    sink.handle(logging.makeLogRecord({"msg": text, "levelno": logging.WARNING}))
def configure():
    logging.config.dictConfig({"version": 1})
writer = threading.Thread(target=put, args=["x" * 200_000])
writer.start()
select.select([pipe], [], [])
os.read(pipe, 1)  # it is being written, and there is no room for all of it
if act == "configure":
    configuring = threading.Thread(target=configure)
    configuring.start()
    while sink.lock.acquire(blocking=False):  # until logging.shutdown holds it
        sink.lock.release()
        time.sleep(0.001)
else:
    sink.close()
if end == "written":
    while not os.read(pipe, 65536).endswith(b"\\n"):
        pass
os.unlink(path)
os.close(pipe)
writer.join()
if act == "configure":
    configuring.join()
put("after")
sink.close()
print(sink.lines_written, sink.lines_lost, sink.errors)
"""


def hang(path, close_timeout, act, end):
    """Have a write hang and then end; return lines written, lost, and errors."""
    program = [sys.executable, "-c", HANGING, path, str(close_timeout), act, end]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return tuple(map(int, done.stdout.split()))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("end", ["written", "failed"])
def test_logging_may_be_configured_again_during_a_write(tmp_path, end):
    counts = hang(tmp_path / "log", 60, "configure", end)
    lines = (tmp_path / "log").read_text().splitlines()
    if end == "written":
        assert (counts, lines) == ((2, 0, 0), ["after"])
    else:
        assert (counts, lines) == ((2, 0, 1), ["x" * 200_000, "after"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("end", ["written", "failed"])
def test_a_line_that_was_given_up_is_lost_once(tmp_path, end):
    assert hang(tmp_path / "log", 0.05, "close", end) == (1, 1, int(end == "failed"))
    assert (tmp_path / "log").read_text() == "after\n"


@pytest.mark.parametrize("backups", [1, 3])
def test_a_file_that_cannot_be_rotated_grows_and_is_tried_again(
    make_sink, tmp_path, caplog, backups
):
    obstacle = tmp_path / f"log.{backups}"
    (obstacle / "full").mkdir(parents=True)
    for i in range(1, backups):
        (tmp_path / f"log.{i}").write_text(f"{i}\n")
    sink = make_sink(max_bytes=30, backups=backups)

    def write(*numbers):
        for i in numbers:
            put(sink, f"line-{i:04}")
            sink.flush()

    write(*range(20))
    lines = [f"line-{i:04}" for i in range(20)]
    assert (tmp_path / "log").read_text().splitlines() == lines
    assert (sink.lines_written, sink.lines_lost, sink.errors) == (20, 0, 0)
    [report] = [r.getMessage() for r in caplog.records]
    assert report.startswith(f"Can't rotate {tmp_path / 'log'}: [Errno ")
    assert str(obstacle) in report
    assert report.endswith("It grows beyond 30 bytes; next try in 60 s")
    shutil.rmtree(obstacle)
    write(20)  # too soon for another try
    sink.file._rotate_at = 0.0
    write(21)
    assert (tmp_path / "log").read_text() == "line-0021\n"
    assert (tmp_path / "log.1").read_text().splitlines() == [*lines, "line-0020"]
    for i in range(1, backups):
        assert (tmp_path / f"log.{i + 1}").read_text() == f"{i}\n"


def test_a_rotation_takes_one_call_for_each_file(make_sink, tmp_path, monkeypatch):
    """Readers open all files between two rotations."""
    for i in range(1, 101):
        (tmp_path / f"log.{i}").write_text(f"{i}\n")
    sink = make_sink(max_bytes=10, backups=200)
    put(sink, "line-0")
    sink.flush()
    calls = Counter()
    for name in ("rename", "stat", "lstat", "unlink", "listdir"):
        function = getattr(os, name)

        def count(*args, name=name, function=function, **kwargs):
            calls[name] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(os, name, count)
    put(sink, "line-1")
    sink.flush()
    assert calls["rename"] == 101
    assert calls.total() < 101 + 20
    assert (tmp_path / "log.101").read_text() == "100\n"


def test_a_file_that_cannot_be_removed_grows(make_sink, tmp_path, mounted):
    sink = make_sink(mounted(tmp_path / "log"), max_bytes=30, backups=0)
    for i in range(20):
        put(sink, f"line-{i:04}")
        sink.flush()
    assert (sink.lines_written, sink.errors) == (20, 0)
    assert (tmp_path / "log").stat().st_size == 200


def test_failed_tries_to_rotate_move_no_older_files(make_sink, tmp_path, mounted):
    for i in range(1, 4):
        (tmp_path / f"log.{i}").write_text(f"{i}\n")
    sink = make_sink(mounted(tmp_path / "log"), max_bytes=30, backups=4)
    sink.file.rotate_interval = 0.0
    for i in range(20):
        put(sink, f"line-{i:04}")
        sink.flush()
    assert sink.lines_written == 20
    for i in range(1, 4):
        assert (tmp_path / f"log.{i + 1}").read_text() == f"{i}\n"


@pytest.fixture
def mounted():
    """Make files that can be written, but not renamed or removed."""
    made = []

    def make(path):
        path.write_text("")
        mount = ["mount", "--bind", str(path), str(path)]
        if not shutil.which("mount") or subprocess.run(mount).returncode:
            pytest.skip("a file can't be mounted here")
        made.append(path)
        return path

    yield make
    for path in made:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_reports_made_while_closing_are_in_the_file(writable_again, tmp_path):
    sink = writable_again
    sink.close()
    assert "can be written again" in (tmp_path / "log").read_text()
    assert sink.file._fd is None


def test_a_line_after_closing_opens_the_file_again(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    sink.close()
    put(sink, "b")
    sink.close()
    assert (tmp_path / "log").read_text() == "a\nb\n"
