"""How the schedulers of a log ended, and what it tells of their memory."""

from __future__ import annotations

import json
import os
import time

import pytest

from leandask.eventlog.eventlog import EventLog
from leandask.reading.files.listing import QUIET_SECONDS
from leandask.reading.filter import Filter, Story
from leandask.reading.lives import HOLDERS, Lives
from leandask.reading.reader import LogReader
from tests.helpers.logs import NOW, T0, Log, lines, write, write_logs

#: What held most, as the guard says it.
TASKS, OTHERS = "120,000 tasks of increment, about 118 MiB", "7 clients, about 1 MiB"


def lives_of(*logs):
    lives = Lives()
    for log in logs:
        for record in log.records:
            lives.see(record)
    return lives


def verdicts(*logs, quiet_at=None):
    """How the schedulers were killed, by their id."""
    return {life.id: how for life, how in lives_of(*logs).killed(quiet_at)}


def following(seconds=100, **fields):
    return Log("Scheduler-2").start(seconds, **fields)


def test_a_kill_when_memory_was_nearly_full_was_probably_for_memory():
    log = Log().start(0).sample(10, 300).pressure(19, 470, TASKS, OTHERS)
    log.sample(20, 498).event(23, "all", "x")
    assert verdicts(log, following()) == {
        "Scheduler-1": "killed, probably for memory: RSS was 498 of 512 MiB, 3.0 s "
        f"before the last record; the largest holders were {TASKS}; {OTHERS}"
    }


def test_pressure_after_the_last_sample_counts_too():
    log = Log().start(0).sample(10, 300).pressure(19, 470, TASKS)
    (how,) = verdicts(log, following()).values()
    assert "RSS was 470 of 512 MiB, at the last record; " in how


def test_holders_that_were_told_long_before_are_said_to_be_older():
    log = Log().start(0).pressure(10, 470, TASKS).sample(200, 490)
    (how,) = verdicts(log, following(900)).values()
    assert how.endswith(f"the largest holders, 3 min 10 s earlier, were {TASKS}")


@pytest.mark.parametrize("limit", [512, None])
def test_a_kill_with_room_left_has_no_reason(limit):
    log = Log().start(0).sample(10, 400, limit)
    assert verdicts(log, following()) == {"Scheduler-1": "killed"}


def test_the_control_group_knows_that_it_killed_for_memory():
    log = Log().start(0, oom_kills=2).sample(10, 300)
    (how,) = verdicts(log, following(oom_kills=3)).values()
    assert how == (
        "killed for memory (the control group counted it): RSS was 300 of 512 MiB, at "
        "the last record"
    )
    assert verdicts(log, following(oom_kills=2)) == {"Scheduler-1": "killed"}
    assert verdicts(log, following(oom_kills=None)) == {"Scheduler-1": "killed"}
    assert verdicts(log.stop(11), following(oom_kills=3)) == {}


def test_a_scheduler_whose_samples_ended_was_killed_if_nobody_writes_the_log():
    log = Log().start(0).sample(10, 498)
    late, soon = (int((T0 + 10 + s) * 1000) for s in (31, 29))
    assert verdicts(log) == verdicts(log, quiet_at=soon) == {}
    (how,) = verdicts(log, quiet_at=late).values()
    assert how.startswith("killed, probably for memory")
    # Without samples nothing is due; with a longer interval not yet.
    assert verdicts(Log().start(0), quiet_at=late) == {}
    assert verdicts(Log().sample(10, 498, interval=20.0), quiet_at=late) == {}


def test_a_scheduler_that_was_started_beside_another_says_nothing_of_it():
    log = Log().start(0).sample(10, 498)
    assert verdicts(log, following(12).sample(40, 100)) == {}
    (how,) = verdicts(log, following(12).sample(41, 100)).values()
    assert how.startswith("killed, probably for memory")
    # Also if it was there before.
    assert verdicts(log, following(5).sample(41, 100)).keys() == {"Scheduler-1"}
    assert verdicts(Log().start(0), following(1)) == {"Scheduler-1": "killed"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rss": None},
        {"rss": -1},
        {"rss": 2**60},
        {"rss": "1 GiB"},
        {"limit": 0},
        {"limit": True},
        {"timestamp": "soon"},
    ],
)
def test_records_that_are_not_valid_tell_nothing(wrong):
    log = Log().start(0, oom_kills="many").sample(10, 498)
    log.records[-1] |= wrong
    log.sample(11, 100)
    assert verdicts(log, following(oom_kills=1)) == {"Scheduler-1": "killed"}


def test_texts_and_schedulers_are_bounded():
    log = Log().start(0).pressure(10, 500, *["é" * 10**6] * 50, 7)
    (how,) = verdicts(log, following()).values()
    assert how.count("é") < 150 * HOLDERS
    lives = Lives(limit=3)
    for i in range(5):
        for record in Log(f"S-{i}").start(10 * i).records:
            lives.see(record)
    assert len(lives) == 3
    assert [life.id for life, _ in lives.killed()] == ["S-2", "S-3"]


def read(path, wanted):
    """The lives that a reading finds, whatever is wanted."""
    lives, reader = Lives(), LogReader(path)
    found = [*reader.select(wanted, lives)]
    return {life.id: life for life, _ in lives.killed()}, found, reader.problems


def test_lives_are_found_in_lines_that_are_not_wanted(tmp_path):
    """Blocks without what is wanted are not decoded, but for their last line."""
    n = 3000
    sample = Log(seq=n).sample(NOW - T0 + 5, 498)
    path = write_logs(tmp_path / "a.jsonl", sample)
    (one,) = path.read_bytes().splitlines(keepends=True)
    more = [*lines(n, first=n + 2)]
    write(path, *lines(n), one, *more)
    write_logs(tmp_path / "b.jsonl", Log("Scheduler-2").start(NOW - T0 + 10**6))
    wanted = [
        Filter(),
        Story("x-77"),
        Filter(action="none"),
        Filter(until="2020-01-01"),
    ]
    for each in wanted:
        lives, _, problems = read(tmp_path, each)
        life = lives["Scheduler-1"]
        assert life.memory.rss == 498 * 2**20
        assert life.first == int((NOW + 1) * 1000)
        assert life.last == int((NOW + 2 * n + 1) * 1000)
        assert not problems.counts["corrupt"]
    _, found, _ = read(tmp_path, Story("x-77"))
    assert [record["seq"] for record in found] == [77]


def test_the_last_record_is_found_wherever_the_next_scheduler_starts(tmp_path):
    log = Log().start(0).sample(10, 498).event(13, "all", "x")
    path = write_logs(tmp_path / "log.jsonl", log, following())
    lives, _, _ = read(path, Filter())
    assert lives["Scheduler-1"].last == (T0 + 13) * 1000


def test_of_two_that_write_side_by_side_none_was_killed(tmp_path):
    logs = [Log(f"S-{i}") for i in (1, 2)]
    mixed = Log()
    for i in range(9):
        for log in logs:
            log.sample(i, 100)
            mixed.records.append(log.records[-1])
    write_logs(tmp_path / "log.jsonl", mixed)
    lives, _, _ = read(tmp_path / "log.jsonl", Filter())
    assert lives == {}


def test_a_log_is_quiet_if_no_process_writes_it(tmp_path):
    path = tmp_path / "log.jsonl"
    event_log = EventLog(path, "Scheduler-1")
    try:
        reader = LogReader(path)
        assert reader.quiet_at() is None  # it was made just now
        long_ago = time.time() - QUIET_SECONDS - 1
        os.utime(path, (long_ago, long_ago))
        assert reader.quiet_at() is None  # it is open
    finally:
        event_log.detach()
    assert reader.quiet_at() == pytest.approx(time.time() * 1000, abs=30_000)
    path.touch()
    assert reader.quiet_at() is None


def test_what_a_reader_asks_of_the_lock_does_not_stay(tmp_path, caplog):
    path = write_logs(tmp_path / "log.jsonl", Log().start(0))
    os.utime(path, (0, 0))
    assert LogReader(path).quiet_at()
    EventLog(path, "Scheduler-2").detach()
    assert "Another" not in caplog.text
    assert json.loads(path.read_text())
