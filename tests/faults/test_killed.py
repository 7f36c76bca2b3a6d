"""What the log of a killed scheduler says of its end."""

from __future__ import annotations

import json
import signal
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from leandask.cli.main import main
from leandask.reading.files.listing import QUIET_SECONDS
from leandask.records.schema import SAMPLE
from tests.helpers.logs import Log, write_logs
from tests.helpers.processes import wait_for

#: An RSS that every scheduler is beyond.
LITTLE = {
    "DASK_LEANDASK__MEMORY__LIMIT": "16 MiB",
    "DASK_LEANDASK__STREAM__SAMPLE_INTERVAL": "100ms",
}
VERDICT = "killed, probably for memory: RSS was "


def run(*args):
    done = CliRunner().invoke(main, [*map(str, args)])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


@pytest.fixture
def later(monkeypatch):
    """The commands run a minute later."""
    clock = SimpleNamespace(time=lambda: time.time() + QUIET_SECONDS + 1)
    monkeypatch.setattr("leandask.reading.reader.time", clock)


def test_a_scheduler_is_said_to_be_killed_once_it_is(start, tmp_path, later):
    log, page = tmp_path / "log.jsonl", tmp_path / "page.html"
    scheduler, _ = start("--event-log", log, **LITTLE)
    wait_for(lambda: log.exists() and SAMPLE in log.read_text())
    commands = (
        ("events", log),
        ("events", log, "--level", "WARNING"),
        ("stats", log),
        ("timeline", log, "-o", page),
    )
    for command in commands:  # it is silent for a minute, but holds its log
        assert ": killed" not in "".join(run(*command))
    assert '"fate":"running"' in page.read_text()
    scheduler.stop(signal.SIGKILL)
    for command in commands[:3]:
        _, err = run(*command)
        assert VERDICT in err and " of 16 MiB, " in err
    assert VERDICT in run("stats", log, "--json")[0]
    run("timeline", log, "-o", page)
    assert page.read_text().count(VERDICT) == 3  # a remark, the table, the data
    run("timeline", log, "-o", page, "--until", "2100-01-01")
    assert '"fate":"running"' in page.read_text()  # when this part of the log ends
    assert SAMPLE not in scheduler.stderr
    assert "tasks, 0 workers" not in scheduler.stderr


@pytest.fixture
def two_lives(tmp_path):
    """The log of a scheduler that was killed for memory, and of the next one."""
    killed = Log().start(0, oom_kills=0).join(1, "tcp://a:1")
    killed.pressure(5, 480, "\x1b[31mred\u202e").sample(10, 498)
    following = Log("Scheduler-2").start(20, oom_kills=1).sample(30, 90).stop(41)
    return write_logs(tmp_path / "log.jsonl", killed, following)


@pytest.mark.parametrize("command", ["events", "tail"])
def test_lists_show_samples_only_by_their_name(two_lives, command):
    out, _ = run(command, two_lives, "--json")
    names = [json.loads(line)["event_name"] for line in out.splitlines()]
    assert SAMPLE not in names and "dask.scheduler.stop" in names
    out, _ = run(command, two_lives, "--json", "--event-name", SAMPLE)
    assert [json.loads(line)["event_name"] for line in out.splitlines()] == [SAMPLE] * 2


def test_what_a_log_says_of_the_end_can_not_control_a_terminal(two_lives):
    _, err = run("events", two_lives)
    (line,) = (each for each in err.splitlines() if "killed" in each)
    assert line == (
        "leandask: Scheduler-1, last record at 2026-03-04T05:00:10.000000Z: killed for "
        "memory (the control group counted it): RSS was 498 of 512 MiB, at the last "
        "record; the largest holders were \\x1b[31mred\\u202e"
    )
    assert json.loads(run("stats", two_lives, "--json")[0])["killed"].keys() == {
        "Scheduler-1"
    }


def test_stats_show_the_highest_memory(two_lives):
    out, _ = run("stats", two_lives)
    assert "memory peak            498.00 MiB\n" in out
    assert "memory limit           512.00 MiB\n" in out
    assert "memory peak at         2026-03-04T05:00:10.000000Z\n" in out


def test_of_many_killed_schedulers_the_last_are_named(tmp_path):
    logs = [Log(f"Scheduler-{i}").start(i) for i in range(15)]
    _, err = run("events", write_logs(tmp_path / "log.jsonl", *logs))
    killed = [line for line in err.splitlines() if line.endswith("killed")]
    assert killed[0] == "leandask: 4 older schedulers were killed"
    assert len(killed) == 11
    assert killed[-1].startswith("leandask: Scheduler-13, last record at ")
