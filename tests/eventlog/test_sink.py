from __future__ import annotations

import fcntl
import gzip
import logging
import os
import signal
import subprocess
import sys
import threading

import pytest

from leandask import RotatingFileSink
from leandask.eventlog.linebuffer import MAX_BYTES
from tests.helpers.sinks import put


def test_lines_are_buffered_until_they_are_flushed(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a", "b")
    assert not (tmp_path / "log").exists()
    sink.flush()
    assert (tmp_path / "log").read_text() == "a\nb\n"
    assert (sink.lines_written, sink.bytes_written) == (2, 4)


def test_64_kib_are_written_at_once(make_sink, tmp_path):
    sink = make_sink()
    put(sink, *["x" * 1023] * 63)
    assert not (tmp_path / "log").exists()
    put(sink, "x" * 1023)
    assert (tmp_path / "log").stat().st_size == 64 * 1024


def test_a_warning_is_written_at_once(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    put(sink, "b", level=logging.WARNING)
    assert (tmp_path / "log").read_text() == "a\nb\n"


def test_flush_if_due_keeps_the_interval(make_sink, tmp_path):
    put(sink := make_sink(flush_interval="1h"), "a")
    sink.flush_if_due()
    assert not (tmp_path / "log").exists()
    put(due := make_sink(tmp_path / "due", flush_interval=0), "a")
    due.flush_if_due()
    assert (tmp_path / "due").read_text() == "a\n"


def test_only_the_owner_can_read_what_is_written(make_sink, tmp_path):
    sink = make_sink(tmp_path / "made" / "here" / "log", max_bytes=5, compress=True)
    put(sink, "abcd")
    sink.flush()
    put(sink, "efgh")
    sink.close()
    sink.file.join()
    for path in (tmp_path / "made" / "here").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert len(list((tmp_path / "made" / "here").iterdir())) == 2


def test_a_file_is_appended_to(make_sink, tmp_path):
    (tmp_path / "log").write_text("before\n")
    put(sink := make_sink(), "after")
    sink.close()
    assert (tmp_path / "log").read_text() == "before\nafter\n"


def test_a_torn_line_of_a_killed_writer_is_ended(make_sink, tmp_path):
    (tmp_path / "log").write_text('whole\n{"torn": ')
    put(sink := make_sink(), "after")
    sink.close()
    assert (tmp_path / "log").read_text() == 'whole\n{"torn": \nafter\n'


def rotate(make_sink, tmp_path, lines=6, **arguments):
    sink = make_sink(max_bytes=10, **arguments)
    for i in range(lines):
        put(sink, f"line-{i}")  # 7 bytes with its line break
        sink.flush()
    sink.close()
    sink.file.join()
    return sorted(path.name for path in tmp_path.iterdir())


def test_rotation_keeps_the_newest_files(make_sink, tmp_path):
    assert rotate(make_sink, tmp_path, backups=2) == ["log", "log.1", "log.2"]
    assert (tmp_path / "log").read_text() == "line-5\n"
    assert (tmp_path / "log.1").read_text() == "line-4\n"
    assert (tmp_path / "log.2").read_text() == "line-3\n"


def test_without_backups_a_full_file_starts_again(make_sink, tmp_path):
    assert rotate(make_sink, tmp_path, backups=0) == ["log"]
    assert (tmp_path / "log").read_text() == "line-5\n"


def test_rotated_files_can_be_gzipped(make_sink, tmp_path):
    names = rotate(make_sink, tmp_path, backups=3, compress=True)
    assert names == ["log", "log.1.gz", "log.2.gz", "log.3.gz"]
    with gzip.open(tmp_path / "log.3.gz", "rt") as f:
        assert f.read() == "line-2\n"


def test_gzipped_backups_replace_plain_ones(make_sink, tmp_path):
    rotate(make_sink, tmp_path, backups=2)
    assert rotate(make_sink, tmp_path, lines=1, backups=2, compress=True) == [
        "log",
        "log.1.gz",
        "log.2",
    ]
    assert (tmp_path / "log.2").read_text() == "line-4\n"


def test_none_never_rotates(make_sink, tmp_path):
    sink = make_sink(max_bytes=None)
    for _ in range(5):
        put(sink, *["x" * 1000] * 100)
        sink.flush()
    assert (tmp_path / "log").stat().st_size == 5 * 100 * 1001


def test_a_file_that_was_moved_is_opened_again(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    sink.flush()
    (tmp_path / "log").rename(tmp_path / "moved")
    put(sink, "b")
    sink.flush()
    assert (tmp_path / "moved").read_text() == "a\n"
    assert (tmp_path / "log").read_text() == "b\n"


def test_a_file_that_was_truncated_goes_on_at_its_start(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    sink.flush()
    os.truncate(tmp_path / "log", 0)
    put(sink, "b")
    sink.flush()
    assert (tmp_path / "log").read_text() == "b\n"


def test_reopen_opens_the_file_again(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    sink.flush()
    (tmp_path / "log").rename(tmp_path / "moved")
    sink.reopen()
    put(sink, "b", level=logging.WARNING)  # before the next check
    assert (tmp_path / "moved").read_text() == "a\n"
    assert (tmp_path / "log").read_text() == "b\n"


def test_a_removed_folder_is_made_again(make_sink, tmp_path):
    sink = make_sink(tmp_path / "logs" / "log")
    put(sink, "a")
    sink.flush()
    (tmp_path / "logs" / "log").unlink()
    (tmp_path / "logs").rmdir()
    put(sink, "b")
    sink.flush()
    assert (tmp_path / "logs" / "log").read_text() == "b\n"
    assert sink.errors == 0


def test_a_file_that_was_removed_is_noticed_before_the_next_write(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a", level=logging.WARNING)
    (tmp_path / "log").unlink()
    put(sink, "b", level=logging.WARNING)  # before the next check
    assert (tmp_path / "log").read_text() == "b\n"


@pytest.mark.parametrize("obstacle", ["folder", "file above"])
def test_a_file_that_cannot_be_opened_is_reported_and_tried_again(
    make_sink, tmp_path, caplog, obstacle
):
    path = tmp_path / "above" / "log"
    if obstacle == "folder":
        path.mkdir(parents=True)
    else:
        path.parent.write_text("")
    sink = make_sink(path, retry_interval=0.0)
    put(sink, "a")
    sink.flush()
    sink.flush()
    assert (sink.errors, sink.lines_written, sink.lines_lost) == (2, 0, 0)
    assert str(path) in caplog.text
    assert "1 lines wait, 0 are lost" in caplog.text
    path.rmdir() if obstacle == "folder" else path.parent.unlink()
    put(sink, "b")
    sink.flush()
    assert path.read_text() == "a\nb\n"
    assert "can be written again" in caplog.text


def test_the_wait_between_two_tries_grows(make_sink, tmp_path, caplog):
    (tmp_path / "log").mkdir()
    sink = make_sink()
    put(sink, "a")
    sink.flush()
    sink.flush()  # within the first second: not tried
    assert sink.errors == 1
    assert "next try in 1 s" in caplog.text
    for expected in (2, 4, 8, 16, 32, 60, 60):
        sink.retry.allow()
        sink.flush()
        assert f"next try in {expected} s" in caplog.records[-1].getMessage()


def test_waiting_lines_are_bounded_and_lost_ones_counted(make_sink, tmp_path, caplog):
    (tmp_path / "log").mkdir()
    sink = make_sink()
    line = "x" * 1023
    put(sink, *[line] * 5000)
    assert len(sink.buffer) <= MAX_BYTES
    lost = sink.lines_lost
    assert lost == 5000 - len(sink.buffer) // 1024
    (tmp_path / "log").rmdir()
    sink.close()
    assert (sink.lines_written, sink.lines_lost) == (5000 - lost, lost)


def test_closing_reports_lines_that_could_not_be_written(make_sink, tmp_path, caplog):
    (tmp_path / "log").mkdir()
    sink = make_sink()
    put(sink, "a", "b")
    sink.close()
    assert sink.lines_lost == 2
    assert "2 lines are lost" in caplog.text


FULL = """
import resource, signal, sys, logging
import leandask
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = leandask.RotatingFileSink(sys.argv[1], max_bytes=None, retry_interval=0.0)
sink.setFormatter(logging.Formatter("%(message)s"))
def put(*numbers):
    for n in numbers:
        sink.handle(logging.LogRecord("x", 20, "", 1, f"{n:099}", None, None))
put(*range(100))
sink.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (15_050, resource.RLIM_INFINITY))
put(*range(100, 200))
sink.flush()  # half of it fits, and half a line
assert sink.errors == 1, sink.errors
size = open(sys.argv[1], "rb").read()
assert len(size) == int(sys.argv[2]), len(size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
put(200)
sink.close()
assert (sink.lines_written, sink.lines_lost) == (201, 0)
"""


def test_a_full_file_system_leaves_whole_lines_and_loses_none(tmp_path):
    """With a limit on the file's size: the kernel writes a part, then refuses."""
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", FULL, path, "10000"], check=True)
    assert path.read_text().splitlines() == [f"{n:099}" for n in range(201)]


def test_a_file_that_another_process_writes_too_is_never_truncated(tmp_path):
    path = tmp_path / "log"
    with path.open("w") as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        subprocess.run([sys.executable, "-c", FULL, path, "15050"], check=True)
    lines = path.read_text().splitlines()
    assert lines.pop(150) == "0" * 50  # the half that was written
    assert lines == [f"{n:099}" for n in range(201)]


def test_a_line_that_cannot_be_formatted_raises_nothing(make_sink, capsys):
    sink = make_sink()
    sink.handle(logging.LogRecord("x", 20, "", 1, "%d", ("no number",), None))
    assert "Logging error" in capsys.readouterr().err


def test_filters_may_refuse_a_record(make_sink, tmp_path):
    sink = make_sink()
    sink.addFilter(lambda r: r.msg != "no")
    put(sink, "yes", "no")
    assert not sink.takes_fields()
    sink.close()
    assert (tmp_path / "log").read_text() == "yes\n"


def test_threads_do_not_mix_their_lines(make_sink, tmp_path):
    sink = make_sink(max_bytes=None)

    def work(n):
        put(sink, *[f"{n}" * 100] * 500)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 2000
    assert {len(set(line)) for line in lines} == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_leaves_the_lines_to_the_parent(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "parent")
    child = os.fork()
    if child == 0:
        put(sink, "child")
        sink.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sink.close()
    assert (tmp_path / "log").read_text() == "child\nparent\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_another_thread_adds_a_line_blocks_no_line(make_sink, tmp_path):
    sink = make_sink()
    held, forked = threading.Event(), threading.Event()

    def hold():
        with sink.buffer._lock:
            held.set()
            forked.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # ends it if it hangs
        put(sink, "child")
        sink.close()
        os._exit(0)
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "log").read_text() == "child\n"


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_bytes": 0},
        {"max_bytes": "x"},
        {"backups": -1},
        {"backups": None},
        {"flush_interval": "soon"},
        {"compress": "yes"},
    ],
)
def test_bad_arguments_are_refused_by_name(tmp_path, arguments):
    [name] = arguments
    key = f"leandask.event-log.{name.replace('_', '-')}"
    with pytest.raises((TypeError, ValueError), match=f"^{key} must be"):
        RotatingFileSink(tmp_path / "log", **arguments)


def test_it_shows_its_fill(make_sink, tmp_path):
    sink = make_sink()
    put(sink, "a")
    assert repr(sink) == (
        f"<RotatingFileSink {str(tmp_path / 'log')!r}: 0 lines, 2 bytes wait>"
    )
