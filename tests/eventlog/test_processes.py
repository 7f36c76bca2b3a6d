"""Several processes that write to one event log, and processes that are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from leandask.eventlog import filelock, gzipping
from tests.helpers.compressed import ENDINGS, expanded
from tests.helpers.processes import wait_for
from tests.helpers.sinks import put

WRITING = """
import logging, sys, time
import leandask
logging.basicConfig()
name, path, max_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
sink = leandask.RotatingFileSink(path, max_bytes, backups=1000, compress=True)
sink.setFormatter(logging.Formatter("%(message)s"))
sink.open()
print("open", flush=True)
sys.stdin.readline()
for i in range(3000):
    text = f"{name} {i:06} " + "x" * 80
    sink.handle(logging.makeLogRecord({"msg": text, "levelno": 20}))
    if i % 20 == 0:
        sink.flush()
        time.sleep(0.001)
sink.close()
sink.file.join()
print(sink.lines_written, sink.lines_lost, sink.errors)
"""


def start_writing(name, path, max_bytes):
    return subprocess.Popen(
        [sys.executable, "-c", WRITING, name, str(path), str(max_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def on_exit():
    with contextlib.ExitStack() as stack:
        yield stack


def text_of(path):
    return expanded(path).decode()


@pytest.mark.parametrize("ending", ["", *ENDINGS])
def test_two_processes_that_share_a_file_lose_nothing_and_are_told(
    tmp_path, on_exit, ending
):
    names = ["one", "other"]
    path = tmp_path / f"log{ending}"
    writers = [start_writing(name, path, 20_000) for name in names]
    for writer in map(on_exit.enter_context, writers):
        assert writer.stdout.readline() == "open\n"
    told = []
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        out, err = writer.communicate(timeout=60)
        assert out == "3000 0 0\n", err
        told.append(err)
    for err in told:  # the second at its start, the first with its first write
        assert err.count("Another process writes to the event log") == 1
    counts = Counter("".join(map(text_of, tmp_path.iterdir())).splitlines())
    del counts[""]  # which one leaves while the other writes
    assert counts == {
        f"{name} {i:06} " + "x" * 80: 1 for name in names for i in range(3000)
    }
    assert len([*tmp_path.glob(f"log.[0-9]*{ending or '.gz'}")]) >= (
        1 if ending else 10
    )


def test_a_process_that_ended_is_nobody_else(make_sink, tmp_path, caplog):
    for _ in range(2):
        sink = make_sink()
        put(sink, "a")
        sink.close()
    child = subprocess.run(
        [sys.executable, "-c", WRITING, "a", tmp_path / "log", "1000000"],
        input="\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert not child.stderr
    put(sink, "b")
    sink.close()
    assert not caplog.records


KILLED = """
import logging, sys, threading
import leandask
from leandask.eventlog import filelock, gzipping
begun = threading.Event()
def copy(source, target, length):
    target.write(b"a part")
    target.flush()
    begun.set()
    sys.stdin.read()
gzipping.shutil.copyfileobj = copy
sink = leandask.RotatingFileSink(sys.argv[1], max_bytes=10, compress=True)
sink.setFormatter(logging.Formatter("%(message)s"))
for i in range(2):
    sink.handle(logging.makeLogRecord({"msg": f"line-{i}", "levelno": 30}))
begun.wait()
print("gzipping", flush=True)
sink.file.join()
"""


@contextlib.contextmanager
def gzipping_process(log):
    """Yield a process that has written two lines, and gzips the first one's file."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, log],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout.readline() == b"gzipping\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def killed(tmp_path):
    """A log whose process was killed while it gzipped the first rotated file."""
    with gzipping_process(tmp_path / "log"):
        pass
    return tmp_path


def test_a_process_that_is_killed_while_it_gzips_loses_nothing(make_sink, killed):
    assert (killed / "log.1").read_text() == "line-0\n"
    assert (killed / "log.1.gz.part").exists()
    sink = make_sink(max_bytes=10, compress=True)
    put(sink, "line-2")
    sink.close()
    sink.file.join()
    names = sorted(path.name for path in killed.iterdir())
    assert names == ["log", "log.1.gz", "log.2"]
    files = (killed / name for name in ("log.2", "log.1.gz", "log"))
    assert "".join(map(text_of, files)) == "line-0\nline-1\nline-2\n"


def test_a_process_that_stops_while_it_gzips_stops_no_other(make_sink, tmp_path):
    with gzipping_process(tmp_path / "log") as process:
        process.send_signal(signal.SIGSTOP)
        sink = make_sink(max_bytes=10, compress=True)
        for i in range(2, 5):
            put(sink, f"line-{i}")
            sink.flush()
        assert (tmp_path / "log").read_text().split() == [
            f"line-{i}" for i in range(1, 5)
        ]
    sink.file._rotate_at = 0.0
    put(sink, "line-5")
    sink.flush()
    assert (tmp_path / "log").read_text() == "line-5\n"


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("compress", [False, True])
def test_a_reader_that_stops_stops_no_rotation(
    make_sink, tmp_path, monkeypatch, is_shared, compress
):
    sink = make_sink(max_bytes=10, compress=compress)
    sink.open()
    log = tmp_path / "log"
    other = os.open(log, os.O_WRONLY)
    if is_shared:
        filelock.is_alone(other)  # as another process that writes to the log

    def write(i):
        sink.file._rotate_at = 0.0
        put(sink, f"line-{i}")
        sink.flush()

    with filelock.standing_still(tmp_path):
        monkeypatch.setattr(filelock, "PATIENCE", 3600)
        write(0)
        write(1)
        assert log.read_text() == "line-0\nline-1\n"  # it waits
        monkeypatch.setattr(filelock, "PATIENCE", 0)
        for i in range(2, 5):
            write(i)
            assert log.read_text() == f"line-{i}\n"
        sink.file.join()
    os.close(other)
    write(5)
    sink.file.join()
    gzipped = ".gz" if compress else ""
    assert {path.name for path in tmp_path.glob("log.*")} == {
        *(f"log.{i}{gzipped}" for i in (1, 2, 3)),
        "log.4" if is_shared else f"log.4{gzipped}",
    }


def test_one_process_at_a_time_rotates_a_shared_log_beside_a_reader(tmp_path):
    log = tmp_path / "log"
    rotate = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from leandask.eventlog import filelock\n"
        "filelock.PATIENCE = 0\n"
        "filelock.Turn().take(Path(sys.argv[1]), os.open(sys.argv[2], os.O_RDWR))\n"
    )
    log.touch()
    one = os.open(log, os.O_RDWR)
    filelock.is_alone(one)
    with filelock.standing_still(tmp_path):
        held = filelock._hold_shared(tmp_path, one)
        other = subprocess.run([sys.executable, "-c", rotate, tmp_path, log], stderr=-1)
        assert b"BlockingIOError: another process rotates the file" in other.stderr
        os.close(held)
        os.close(one)
        subprocess.run([sys.executable, "-c", rotate, tmp_path, log], check=True)


def test_what_is_gzipped_is_on_the_disk_before_the_plain_file_is_removed(
    make_sink, tmp_path, monkeypatch
):
    synced = []

    def sync(fd):
        name = os.readlink(f"/proc/self/fd/{fd}")
        synced.append((name, sorted(path.name for path in tmp_path.glob("log.*"))))

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc here")
    monkeypatch.setattr(gzipping.os, "fsync", sync)
    sink = make_sink(max_bytes=10, compress=True)
    put(sink, "line-0")
    sink.flush()
    put(sink, "line-1")
    sink.close()
    sink.file.join()
    assert synced == [
        (str(tmp_path / "log.1.gz.part"), ["log.1", "log.1.gz.part"]),
        (str(tmp_path), ["log.1", "log.1.gz"]),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_process_keeps_nobody_from_rotating(make_sink, tmp_path, monkeypatch):
    copying, forked = os.pipe(), os.pipe()
    copy = gzipping.shutil.copyfileobj

    def wait_and_copy(*arguments):
        os.write(copying[1], b"x")
        os.read(forked[0], 1)
        copy(*arguments)

    monkeypatch.setattr(gzipping.shutil, "copyfileobj", wait_and_copy)
    sink = make_sink(max_bytes=10, compress=True)
    for i in range(2):
        put(sink, f"line-{i}")
        sink.flush()
    os.read(copying[0], 1)
    child = os.fork()
    if child == 0:
        os.write(copying[1], b"x")  # it has let go of the file and the folder
        signal.pause()
    try:
        os.read(copying[0], 1)
        os.write(forked[1], b"xx")
        put(sink, "line-2")
        sink.flush()
        assert (tmp_path / "log").read_text() == "line-2\n"
        sink.file.join()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for fd in (*copying, *forked):
            os.close(fd)


def test_a_clock_that_goes_back_delays_no_line_and_no_rotation(
    make_sink, tmp_path, monkeypatch
):
    sink = make_sink(max_bytes=10, flush_interval=0.01)
    put(sink, "line-0")
    sink.flush()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    monkeypatch.setattr(time, "time_ns", lambda: int((now - 86_400) * 1e9))
    put(sink, "line-1")

    def is_flushed():
        sink.flush_if_due()
        return (tmp_path / "log.1").exists()

    wait_for(is_flushed)
    assert (tmp_path / "log").read_text() == "line-1\n"


def test_each_file_waits_for_its_own_rotation(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(filelock.time, "monotonic", lambda: now[0])
    with (tmp_path / "log").open("wb") as log:
        held = filelock.hold_folder(tmp_path)
        turn = filelock.Turn()
        with pytest.raises(BlockingIOError):
            turn.take(tmp_path, log.fileno())
        turn.restart()
        now[0] += 2 * filelock.PATIENCE
        with pytest.raises(BlockingIOError):
            turn.take(tmp_path, log.fileno())
        now[0] += 2 * filelock.PATIENCE
        turn.take(tmp_path, log.fileno())  # nobody else has the file
        os.close(held)
