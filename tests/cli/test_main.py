from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client, Security

import leandask
from leandask.cli.main import main
from leandask.records.times import rfc3339
from leandask.serving.client import fetch_report
from tests.helpers.logs import NOW, lines, record, run_record, write
from tests.helpers.processes import start_worker, wait_for

COMMAND = Path(sys.executable).with_name("leandask")


def run(*args, code=0):
    """Run the command in this process; return what it writes to stdout and stderr."""
    done = CliRunner().invoke(main, [*map(str, args)])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def run_module(*args):
    """Run `python -m leandask`."""
    command = [sys.executable, "-m", "leandask", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "log.jsonl.1.gz", gzip.compress(b"".join(lines(500))))
    return write(tmp_path / "log.jsonl", *lines(500, first=501))


def test_python_m_leandask_is_the_same_command(path):
    done = run_module("events", path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("events", path, "--json")[0]
    done = run_module("--version")
    assert done.stdout == f"leandask, version {leandask.__version__}\n"


def test_python_m_leandask_has_its_own_name_in_usage_and_errors(path):
    done = run_module("--help")
    assert done.stdout.startswith("Usage: python -m leandask [OPTIONS] COMMAND")
    done = run_module("story", path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[:2] == [
        "Usage: python -m leandask story [OPTIONS] LOG KEY...",
        "Try 'python -m leandask story --help' for help.",
    ]
    done = run_module("stats", path.with_name("none.jsonl"))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no log ")


def test_events_as_text_and_as_json(path):
    out, err = run("events", path, "--action", "add-worker", "--since", "2026-01-01")
    assert err == ""
    assert len(out.splitlines()) == 1000 // 64
    assert out.splitlines()[0].endswith(
        " INFO     all: add-worker worker=tcp://127.0.0.1:1 i=64"
    )
    out, _ = run("events", path.parent, "--json")
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [
        *range(64, 1000, 64)
    ]


def test_story_shows_the_transitions_of_keys_and_stimuli(path):
    out, err = run("story", path, "x-7", "x-700")
    assert [line.split()[4] for line in out.splitlines()] == ["x-7", "x-700"]
    out, _ = run("story", path, "s-8", "--json")
    assert json.loads(out)["task_key"] == "x-8"
    out, err = run("story", path, "nothing")
    assert (out, err) == ("", f"leandask: no transition of nothing in {path}\n")


def test_stats_story_and_events_of_runs(tmp_path):
    records = [
        run_record(1, "inc-1", seq=1, nbytes=2048),
        run_record(2, "inc-2", seq=2, erred="ValueError('no')", transfer_seconds=0.1),
    ]
    log = write(
        tmp_path / "runs.jsonl", *[json.dumps(r).encode() + b"\n" for r in records]
    )
    out = run("stats", log)[0]
    inc = next(line for line in out.splitlines() if line.startswith("inc "))
    assert inc.split()[1:6] == ["2", "1", "1.00", "s", "500.00"]
    assert inc.endswith("2.00 kiB")
    assert "  transfer" in out
    assert "w-1 tcp://127.0.0.1:1" in out
    assert "1  ValueError('no')  (x.py:1, in f), first inc-2" in out
    found = json.loads(run("stats", log, "--json")[0])
    assert found["prefixes"]["inc"]["count"] == 2
    (line,) = run("story", log, "inc-1")[0].splitlines()
    assert line.endswith("run finished in 500.00 ms on w-1: inc-1  (2.00 kiB)")
    (line,) = run("events", log)[0].splitlines()
    assert line.endswith("run erred in 500.00 ms on w-1: inc-2: ValueError('no')")


def test_events_shows_lines_of_workers_too(tmp_path):
    line = record(1, event_name="dask.event", logger="leandask.workers", message="hm")
    line |= {"topic": "t", "action": None, "worker": None, "client": None}
    line |= {"payload": "{}", "seq": 1}
    log = write(tmp_path / "log.jsonl", json.dumps(line).encode() + b"\n")
    assert run("events", log)[0].endswith("INFO     hm\n")


def test_stats_as_text_and_as_json(path):
    out, _ = run("stats", path, "--json")
    found = json.loads(out)
    assert (found["records"], found["missing"]) == (1000, 0)
    assert found["states"] == {"memory": 1000 - 1000 // 64}
    out, _ = run("stats", path)
    assert "records                1000\n" in out
    assert "records over time" in out
    out, _ = run("stats", path, "--key", "x-7")
    assert "records                1\n" in out


def test_timeline_writes_a_page(path, tmp_path):
    page = tmp_path / "out.html"
    out, _ = run("timeline", path, "-o", page)
    assert out == f"1000 records in {page}\n"
    assert page.read_text().startswith("<!doctype html>")


def test_problems_are_reported_with_file_and_line(path):
    with path.open("ab") as f:
        f.write(b"broken\n")
        f.writelines(lines(1, first=1005))
    out, err = run("stats", path, "--json", code=3)
    assert json.loads(out)["missing"] == 4
    assert f"1 lines that are not JSON, or not a record; first {path}:501: " in err
    assert f"{path}:502: 4 records are missing between 1000 and 1005" in err


def test_an_incomplete_last_line_is_reported_and_is_not_an_error(path):
    with path.open("ab") as f:
        f.write(b'{"timestamp":"20')
    _, err = run("events", path)
    assert f"{path}:501: the last line ends too early" in err


@pytest.mark.parametrize(
    "args, code, text",
    [
        (["events", "{}/none.jsonl"], 1, "There is no log {}/none.jsonl"),
        (["stats", "{}/empty"], 1, "There is no log in the folder {}/empty"),
        (["tail", "{}/none.jsonl"], 1, "There is no log {}/none.jsonl"),
        (["events", "{}/log.jsonl", "--since", "noon"], 1, "since must be an ISO 8601"),
        (["events", "{}/log.jsonl", "--level", "LOUD"], 1, "level must be one of"),
        (["story", "{}/log.jsonl"], 2, "Missing argument 'KEY...'"),
        (["timeline", "{}/log.jsonl", "-o", "{}/no/x.html"], 1, "{}/no/x.html"),
    ],
)
def test_errors_say_which_file_and_what(path, args, code, text):
    folder = str(path.parent)
    (path.parent / "empty").mkdir()
    args = [arg.replace("{}", folder) for arg in args]
    out, err = run(*args, code=code)
    assert out == ""
    assert text.replace("{}", folder) in err
    assert "Traceback" not in err


def test_a_closed_pipe_is_not_an_error(path):
    shell = f"'{COMMAND}' events --json '{path}' | head -n 1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["seq"] == 64
    assert done.stderr == ""


def test_a_long_read_shows_its_progress_on_a_terminal(path):
    ours, theirs = pty.openpty()
    code = """
import sys
from pathlib import Path
from leandask.cli.output import reading
with reading(Path(sys.argv[1]), long_log=1) as reader:
    assert sum(1 for record in reader.records()) == 1000
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 1000)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert b"100%" in shown


def test_tail_reports_how_many_lines_it_can_not_read(path):
    with path.open("ab") as f:
        f.write(b"no record\n")
    out, err = run("tail", path, "-n", 1, code=3)
    assert out.split()[4] == "x-1000"
    assert f"1 lines that are not JSON, or not a record; first {path}: " in err


@pytest.fixture
def overlapping(tmp_path):
    """A folder of two logs; the one that began first was written last."""
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder / "new.jsonl", *lines(9, scheduler_id="new", first=11))
    write(folder / "old.jsonl", *lines(40, scheduler_id="old", first=1))
    os.utime(folder / "new.jsonl", (NOW + 30, NOW + 30))
    return folder


def test_tail_of_a_folder_shows_the_last_of_all_logs(overlapping):
    def last(*options):
        out, _ = run("tail", overlapping, "--json", *options)
        found = map(json.loads, out.splitlines())
        return [(record["scheduler_id"], record["seq"]) for record in found]

    assert last("-n", 2) == [("old", 39), ("old", 40)]
    with_both = last("-n", 23)
    assert with_both[:3] == [("old", 19), ("new", 19), ("old", 20)]
    assert len(with_both) == 23
    assert last("--since", rfc3339(NOW + 39)) == [("old", 39), ("old", 40)]


def test_tail_follows_the_logs_of_a_folder(overlapping):
    write(overlapping / "gone.jsonl.1", *lines(2, scheduler_id="gone"))
    process = following("-n", "1", "--json", overlapping)
    try:
        assert json.loads(process.stdout.readline())["seq"] == 40
        for name in ("old", "new"):
            with (overlapping / f"{name}.jsonl").open("ab") as f:
                f.writelines([b"torn\n", *lines(1, scheduler_id=name, first=99)])
            assert json.loads(process.stdout.readline())["scheduler_id"] == name
        error = process.stderr.readline().decode()
        assert error == f"leandask: 1 lines of {overlapping}/old.jsonl can't be read\n"
    finally:
        process.kill()
        process.communicate()


def following(*args):
    """Start `leandask tail -f`."""
    return subprocess.Popen(
        [COMMAND, "tail", "-f", *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Child processes ignore SIGINT if the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_tail_shows_the_last_records_and_new_ones(path):
    out, _ = run("tail", path, "-n", 3)
    assert [line.split()[4] for line in out.splitlines()] == [
        "x-998",
        "x-999",
        "x-1000",
    ]
    process = following("-n", "1", "--json", path)
    try:
        assert json.loads(process.stdout.readline())["seq"] == 1000
        with path.open("ab") as f:
            f.writelines(lines(2, first=1001))
        assert json.loads(process.stdout.readline())["seq"] == 1001
        assert json.loads(process.stdout.readline())["seq"] == 1002
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.communicate()


def test_the_log_of_a_killed_scheduler_can_be_read(start, tmp_path):
    def slow(x):  # in here, so that workers do not import this module
        time.sleep(60 if x == 100 else 0.001)

    log = tmp_path / "killed.jsonl"
    process, file = start(f"--event-log={log}", "--log-transitions", wait=False)
    worker = start_worker(tmp_path, file)
    with worker, closing(Client(scheduler_file=str(file))) as client:
        futures = client.map(slow, range(5000), pure=False)
        key = futures[100].key
        wait_for(log.exists)
        wait_for(lambda: run("story", log, key)[0].count("\n") >= 4, timeout=60)
        process.popen.kill()
        process.popen.wait()
        worker.popen.kill()
    out, _ = run("story", log, key)
    assert out.splitlines()[-1].split()[1:5] == ["queued", "->", "processing", key]
    found = json.loads(run("stats", log, "--json")[0])
    assert found["states"]["queued"] >= 4900
    assert 0 < found["states"]["memory"] < 4900
    assert found["workers_joined"] == 1
    assert found["problems"]["gap"] == found["problems"]["corrupt"] == 0
    (start_record,) = run("events", log, "--event-name=dask.scheduler.start")[
        0
    ].splitlines()
    assert "scheduler started at" in start_record
    assert run("events", log, "--event-name=dask.scheduler.stop")[0] == ""


def address_of(file):
    return json.loads(file.read_text())["address"]


def test_a_report_of_a_running_scheduler(start, tmp_path):
    _, file = start(f"--event-log={tmp_path / 'events.jsonl'}", "--retention=events=7")
    out, err = run("report", address_of(file))
    assert err == ""
    assert re.search(r"\nevents +0 +7 +0 +0 B\n", out)
    assert re.search(r"\nevent log: \S+events.jsonl, \d+ lines, 0 lost\n", out)
    found = json.loads(run("report", address_of(file), "--json")[0])
    assert found["address"] == address_of(file)
    assert found["memory"]["rss"] > 10 * 2**20


def test_a_report_over_tls(start, tmp_path):
    pytest.importorskip("cryptography")
    security = Security.temporary()
    for name in ("ca_file", "scheduler_cert", "scheduler_key"):
        (tmp_path / name).write_text(getattr(security, f"tls_{name}"))
    options = [
        f"--tls-ca-file={tmp_path / 'ca_file'}",
        f"--tls-cert={tmp_path / 'scheduler_cert'}",
        f"--tls-key={tmp_path / 'scheduler_key'}",
    ]
    _, file = start("--protocol=tls", *options)
    address = address_of(file)
    for name in (address, address.removeprefix("tls://")):
        out, _ = run("report", name, *options)
        assert "transition-log" in out
    _, err = run("report", address.replace("tls://", "tcp://"), *options, code=1)
    assert "encryption required" in err
    assert "Traceback" not in err
    _, err = run("report", address_of(file), code=1)
    assert "TLS" in err


def test_an_address_that_does_not_answer_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(OSError, match=f"{address} must answer within 0.5 seconds"):
            fetch_report(address, timeout=0.5)


def test_a_scheduler_that_is_not_lean_or_not_there_is_reported(start, tmp_path):
    _, file = start(command=[sys.executable, "-m", "distributed.cli.dask_scheduler"])
    _, err = run("report", address_of(file), code=1)
    assert "must be a LeanScheduler to answer leandask_report" in err
    _, err = run("report", "foo://x", code=1)
    assert "unknown address scheme 'foo'" in err
