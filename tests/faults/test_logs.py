"""Faults of the logs that the command reads, and of where it writes to."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from leandask.cli.main import main
from leandask.eventlog.formatter import JSONFormatter
from tests.helpers.logs import Log, lines, write
from tests.helpers.processes import wait_for

COMMAND = [sys.executable, "-m", "leandask"]
#: DEL, C1 controls, a direction, an isolate, something invisible, a tag, a line break.
UNSAFE = "a\x7f\x9b31mb\u202ec\u2066d\u200b\U000e0001\ne"
#: The logger of events: what has another one is not decoded to find them.
EVENTS = {"logger": "leandask.events"}
#: Every command that reads a log, with a place for the log and one for a folder.
COMMANDS = [
    "events {}",
    "events {} --json",
    "story {} KEY",
    "story {} KEY --json",
    "story {} KEY2",
    "stats {}",
    "stats {} --json",
    "tail {} -n 200",
    "tail {} -n 200 --json",
    "timeline {} -o OUT",
    "performance-report {} -o OUT",
]


def run(command, log, key="x-1"):
    """Run a command in this process; return its exit code, and stdout with stderr."""
    words = {"{}": str(log), "KEY": key, "KEY2": f"no {key}"}
    words["OUT"] = f"{log}.html" if log.is_file() else f"{log}/out{UNSAFE}.html"
    args = [words.get(word, word) for word in command.split()]
    done = CliRunner().invoke(main, args)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


@pytest.mark.parametrize("command", COMMANDS)
def test_neither_a_log_nor_its_name_can_control_a_terminal(tmp_path, command):
    log = Log(UNSAFE).start(0).join(1, UNSAFE).leave(2, UNSAFE, expected=False)
    log.event(3, UNSAFE, UNSAFE, text=UNSAFE)
    log.task(4, UNSAFE, "released", "waiting", "erred")
    folder = tmp_path / f"folder{UNSAFE}"
    folder.mkdir()
    written = [json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in log.records]
    write(
        folder / f"{UNSAFE}.jsonl", *written, b'{"a": "\x7f\xc2\x9b"}\n', b"\xc2\x9b\n"
    )
    code, output = run(command, folder, key=UNSAFE)
    assert code == 3  # the last lines are no records
    assert output.count("\n") > 1
    assert all(line.isprintable() for line in output.split("\n"))
    if "--json" in command:
        found = [json.loads(line) for line in output.split("\n") if line[:1] == "{"]
        assert json.dumps(UNSAFE)[1:-1] in json.dumps(found)


@pytest.mark.parametrize("arguments", [[], ["events"], ["events", "x", "--since"]])
def test_an_error_can_not_control_a_terminal(arguments):
    for unsafe in (UNSAFE, f"--{UNSAFE}"):
        done = CliRunner().invoke(main, [*arguments, unsafe])
        assert done.exit_code in (1, 2)
        assert all(line.isprintable() for line in done.output.split("\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "ascii", "utf-16"])
def test_output_in_any_encoding_loses_nothing(tmp_path, encoding):
    log = Log().start(0).event(1, "é▅", "greet").task(2, "x-1", "waiting", "erred")
    formatter = JSONFormatter()
    path = write(
        tmp_path / "log.jsonl",
        *(formatter.encode_fields(r | EVENTS) + b"\n" for r in log.records),
    )
    script = (
        "from leandask.cli.main import main\n"
        "for args in (['events'], ['stats'], ['events', '--json']):\n"
        f"    main([*args, {str(path)!r}], standalone_mode=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode(encoding).splitlines()
    assert "é▅: greet".encode(encoding, "backslashreplace").decode(encoding) in out[1]
    assert json.loads(out[-1])["topic"] == "é▅"
    bars = next(line for line in out if line.startswith("records over time"))
    assert bars.endswith("█" if encoding.startswith("utf") else "#")


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "log.jsonl", *lines(130))


@pytest.mark.parametrize(
    ("redirection", "code", "error"),
    [
        (">&-", 1, "Error: stdout must be open to be written to\n"),
        (">/dev/full", 1, "Error: [Errno 28] No space left on device\n"),
        ("<&-", 0, ""),
        (">&- 2>&- <&-", 1, ""),
    ],
)
def test_a_stream_that_is_closed_or_full_is_told(path, redirection, code, error):
    command = f"exec '{sys.executable}' -m leandask events '{path}' {redirection}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, error)


def test_a_timeline_needs_neither_stdout_nor_stderr(path, tmp_path):
    page = tmp_path / "page.html"
    command = f"exec '{sys.executable}' -m leandask timeline '{path}' -o '{page}'"
    done = subprocess.run(["sh", "-c", f"{command} >&- 2>&-"])
    assert done.returncode == 0
    assert page.read_text().startswith("<!doctype html>")


def test_many_rotated_files_are_read_with_few_open(tmp_path):
    for i in range(1, 200):
        write(tmp_path / f"log.jsonl.{200 - i}", *lines(1, first=i))
    path = write(tmp_path / "log.jsonl", *lines(1, first=200))
    script = (
        "import sys\n"
        "from leandask.cli.main import main\n"
        "for args in (['events'], ['stats'], ['story', 'x-7'], ['tail', '-n', '300'],\n"
        f"        ['timeline', '-o', {str(tmp_path / 'out.html')!r}]):\n"
        f"    main([args[0], {str(path)!r}, *args[1:]], standalone_mode=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nrecords                200\n" in done.stdout
    assert done.stdout.count("processing -> memory     x-") >= 190


@pytest.mark.parametrize("command", COMMANDS)
def test_one_file_that_can_not_be_read_hides_no_other(tmp_path, command):
    write(tmp_path / "log.jsonl", *lines(130))
    for name in ("log.jsonl.1", "other.jsonl"):
        (tmp_path / name).symlink_to(name)  # a loop
    code, output = run(command, tmp_path)
    assert code == 3
    assert "2 files that can't be read to their end; first " in output
    assert "Too many levels of symbolic links" in output
    if "KEY2" not in command:
        assert any(text in output for text in ("x-1", "i=64", 'i\\":64', "130"))


def test_a_number_of_thousands_of_digits_is_told(tmp_path):
    good = [*lines(3)]
    wrong = good[1].replace(b'"seq":2,', b'"seq":%s,' % (b"9" * 5000))
    path = write(tmp_path / "log.jsonl", good[0], wrong, good[1], good[2])
    for command in COMMANDS:
        code, output = run(command, path)
        assert code == 3
        assert f"1 lines that are not JSON, or not a record; first {path}" in output


def peak_of(pid):
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_memory_of_a_tail_that_was_stopped_stays_flat(tmp_path):
    path = write(tmp_path / "log.jsonl", *lines(1))
    padding = "x" * 15_000
    made = [
        JSONFormatter().encode_fields(Log(seq=seq).event(1, padding, "pad").records[0])
        for seq in range(1, 2001)
    ]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "tail", "-f", "-n", "1", "--json", str(path)], stdout=out
        )
    try:
        wait_for(lambda: (tmp_path / "out").stat().st_size)
        process.send_signal(signal.SIGSTOP)
        before = peak_of(process.pid)
        with path.open("ab") as f:
            f.write(b"".join(line + b"\n" for line in made))
        appended = path.stat().st_size
        assert appended > 16 * 2**20
        process.send_signal(signal.SIGCONT)
        wait_for(lambda: (tmp_path / "out").stat().st_size >= appended)
        assert peak_of(process.pid) < before + 8 * 2**20
    finally:
        process.kill()
        process.wait()


def test_a_tail_goes_on_when_others_rotate_truncate_and_remove_the_file(tmp_path):
    path = write(tmp_path / "log.jsonl", *lines(1))
    process = subprocess.Popen(
        [*COMMAND, "tail", "-f", "-n", "1", "--json", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def next_seq():
        return json.loads(process.stdout.readline())["seq"]

    try:
        assert next_seq() == 1
        path.rename(tmp_path / "log.jsonl-20261124")
        write(path, *lines(1, first=2))
        assert next_seq() == 2
        os.truncate(path, 0)
        with path.open("ab") as f:
            f.writelines(lines(2, first=3))
        assert (next_seq(), next_seq()) == (3, 4)
        path.unlink()
        write(path, *lines(1, first=5))
        assert next_seq() == 5
        with path.open("ab") as f:
            f.writelines([b"no record\n", *lines(1, first=16)])
        assert next_seq() == 16
        told = [process.stderr.readline().decode() for _ in range(2)]
        assert told == [
            f"leandask: 1 lines of {path} can't be read\n",
            f"leandask: 10 records are missing in {path}\n",
        ]
    finally:
        process.kill()
        process.communicate()
