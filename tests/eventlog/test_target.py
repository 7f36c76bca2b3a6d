"""What an event log is written to: links, pipes, devices, what others put there."""

from __future__ import annotations

import logging
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from leandask.eventlog.target import Target
from tests.helpers.sinks import put

#: A user who is neither root nor the one that runs the tests.
ANOTHER = 54321


def write_much(sink, n=20):
    for i in range(n):
        put(sink, f"line-{i:04}", level=logging.WARNING)  # written at once
    return [f"line-{i:04}" for i in range(n)]


@pytest.fixture
def open_folder(tmp_path):
    """A folder that every user may write, as /tmp."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def give():
    """Give a file or a link to another user, as only root can."""

    def give(path, user=ANOTHER):
        try:
            os.chown(path, user, user, follow_symlinks=False)
        except PermissionError:
            pytest.skip("only root can give files away")
        return path

    return give


def test_a_device_is_written_and_never_rotated(make_sink, tmp_path):
    path = tmp_path / "device"
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))  # it takes everything
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        pytest.skip("a device can't be made or opened here")
    sink = make_sink(path, max_bytes=30)
    write_much(sink)
    sink.close()
    assert stat.S_ISCHR(path.lstat().st_mode)
    assert (sink.lines_written, sink.errors) == (20, 0)
    assert [each.name for each in tmp_path.iterdir()] == ["device"]


def test_a_link_is_followed_once_and_files_rotate_beside_its_target(
    make_sink, tmp_path
):
    (tmp_path / "disk").mkdir()
    (tmp_path / "first").symlink_to(tmp_path / "second")
    (tmp_path / "second").symlink_to("disk/log")
    sink = make_sink(tmp_path / "first", max_bytes=30, backups=100)
    assert sink.file.path == tmp_path / "disk" / "log"
    lines = write_much(sink)
    assert (tmp_path / "first").is_symlink() and (tmp_path / "second").is_symlink()
    names = sorted(path.name for path in (tmp_path / "disk").iterdir())
    assert len(names) == 7
    paths = [tmp_path / "disk" / f"log.{i}" for i in range(6, 0, -1)]
    text = "".join(path.read_text() for path in [*paths, sink.file.path])
    assert text.splitlines() == lines


DESCRIPTOR = """
import logging, sys
import leandask
sink = leandask.RotatingFileSink(sys.argv[1], max_bytes=30)
sink.setFormatter(logging.Formatter("%(message)s"))
for i in range(20):
    sink.handle(logging.makeLogRecord({"msg": f"line-{i:04}", "levelno": 30}))
    print(f"text-{i:04}", flush=True)
sink.close()
assert (sink.lines_written, sink.errors) == (20, 0), sink
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc here")
@pytest.mark.parametrize("to", ["a file", "a pipe", "a socket"])
def test_the_output_of_the_process_is_written_and_never_rotated(tmp_path, to):
    link = tmp_path / "link"
    link.symlink_to("/proc/self/fd/1")
    program = [sys.executable, "-c", DESCRIPTOR, link]
    if to == "a file":
        with (tmp_path / "out").open("w") as out:
            subprocess.run(program, check=True, stdout=out)
        text = (tmp_path / "out").read_text()
    elif to == "a pipe":
        text = subprocess.run(program, check=True, capture_output=True).stdout.decode()
    else:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            subprocess.run(program, check=True, stdout=theirs)
            text = ours.recv(100_000).decode()
    # Neither overwrote a line of the other.
    assert text.splitlines() == [
        f"{kind}-{i:04}" for i in range(20) for kind in ("line", "text")
    ]
    assert {path.name for path in tmp_path.iterdir()} <= {"link", "out"}


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def test_a_fifo_is_written_and_never_rotated(make_sink, fifo):
    path, reader = fifo
    sink = make_sink(path, max_bytes=30)
    lines = write_much(sink)
    assert os.read(reader, 10_000).decode().splitlines() == lines
    assert stat.S_ISFIFO(path.lstat().st_mode)


def test_a_reader_that_pauses_gets_every_line_whole(make_sink, fifo):
    path, reader = fifo
    sink = make_sink(path, retry_interval=0.0)
    sink.file.appender.write_timeout = 0.01
    lines = [f"{i:09}" * 100 for i in range(300)]  # 270 kB: more than a pipe holds
    put(sink, *lines)
    sink.flush()
    assert sink.failing
    got = bytearray()
    while not got.endswith(lines[-1].encode() + b"\n"):
        got += os.read(reader, 50_000)
        sink.flush()
    found = got.decode().split("\n")
    # A line that was written in part is written again, whole, in its place.
    assert [line for line in found if line in set(lines)] == lines
    assert len(found) <= len(lines) + 2 * sink.errors
    assert (sink.lines_written, sink.lines_lost) == (300, 0)


def test_a_write_waits_for_a_slow_reader(make_sink, fifo):
    path, reader = fifo
    os.set_blocking(reader, True)
    sink = make_sink(path)
    got = bytearray()

    def read():
        while not got.endswith(b"end\n"):
            got.extend(os.read(reader, 4096))

    thread = threading.Thread(target=read)
    thread.start()
    put(sink, *["x" * 999] * 500, "end")
    sink.flush()
    thread.join(30)
    assert len(got) == 500 * 1000 + 4
    assert sink.errors == 0


def test_a_fifo_without_a_reader_makes_nobody_wait(make_sink, tmp_path, caplog):
    os.mkfifo(tmp_path / "fifo")
    sink = make_sink(tmp_path / "fifo")
    put(sink, "a", level=logging.WARNING)
    assert "No process reads this FIFO" in caplog.text
    assert (sink.failing, sink.buffer.lines) == (True, 1)


def is_refused(path):
    try:
        os.close(Target(path).open())
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("owner", "refused"), [("another", True), ("ours", False), ("the folder's", False)]
)
def test_a_link_of_another_user_in_an_open_folder_is_refused(
    open_folder, tmp_path, give, owner, refused
):
    (tmp_path / "victim").write_text("")
    (open_folder / "log").symlink_to(tmp_path / "victim")
    if owner != "ours":
        give(open_folder / "log")
    if owner == "the folder's":
        give(open_folder)
    assert is_refused(open_folder / "log") == refused


@pytest.mark.parametrize("kind", ["file", "fifo"])
@pytest.mark.parametrize(
    ("owner", "refused"), [("another", True), ("ours", False), ("the folder's", False)]
)
def test_what_another_user_made_in_an_open_folder_is_refused(
    open_folder, give, owner, refused, kind
):
    path = open_folder / "log"
    if kind == "fifo":
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    else:
        path.write_text("")
        reader = None
    path.chmod(0o666)
    if owner != "ours":
        give(path)
    if owner == "the folder's":
        give(open_folder)
    assert is_refused(path) == refused
    if reader is not None:
        os.close(reader)


def test_a_second_name_of_a_file_in_an_open_folder_is_refused(open_folder, tmp_path):
    (tmp_path / "victim").write_text("kept\n")
    os.link(tmp_path / "victim", open_folder / "log")
    assert is_refused(open_folder / "log")
    os.link(tmp_path / "victim", tmp_path / "log")  # not for all users
    assert not is_refused(tmp_path / "log")
    assert (tmp_path / "victim").read_text() == "kept\n"


def test_a_block_device_is_refused(tmp_path):
    try:
        os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o600, os.makedev(240, 0))
    except PermissionError:
        pytest.skip("a device can't be made here")
    assert is_refused(tmp_path / "disk")  # without being opened


def test_a_link_that_takes_the_place_of_the_file_is_not_followed(
    make_sink, tmp_path, caplog
):
    sink = make_sink(retry_interval=0.0)
    put(sink, "a", level=logging.WARNING)
    (tmp_path / "log").unlink()
    (tmp_path / "victim").write_text("")
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    put(sink, "b", level=logging.WARNING)
    assert "A symbolic link has taken its place" in caplog.text
    (tmp_path / "log").unlink()
    sink.flush()
    assert (tmp_path / "victim").read_text() == ""
    assert (tmp_path / "log").read_text() == "b\n"


@pytest.mark.parametrize("who", ["another user's", "0666"])
def test_who_else_may_read_a_file_is_told_once(make_sink, tmp_path, caplog, give, who):
    path = tmp_path / "log"
    path.write_text("")
    path.chmod(0o666)
    if who != "0666":
        give(path)
        expected = f"The event log {path} belongs to user {ANOTHER}"
    else:
        expected = f"The event log {path} is open to every user (mode 0666)"
    sink = make_sink()
    for _ in range(2):
        put(sink, "a")
        sink.close()
    assert [record.getMessage() for record in caplog.records] == [expected]
    assert path.read_text() == "a\na\n"


def test_a_file_that_its_disk_gave_to_another_user_is_opened_again(
    make_sink, open_folder, give
):
    """As a network file system does with the files of root."""
    sink = make_sink(open_folder / "log")
    put(sink, "a")
    sink.close()
    give(open_folder / "log")
    put(sink, "b")
    sink.close()
    assert (open_folder / "log").read_text() == "a\nb\n"
