"""Schedulers in a timeline: their ends, and what a log with several of them shows."""

from __future__ import annotations

from leandask.reading.timeline.memory import POINTS
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.logs import T0, Log, timeline_of
from tests.helpers.timelines import data_of, level_at, text_of


def test_after_a_kill_all_counts_from_zero():
    old = Log("Scheduler-old").start(0).join(1, "tcp://a:1")
    old.task(2, "x", "released", "waiting", "processing", "memory")
    new = Log("Scheduler-new").start(10).join(11, "tcp://a:1")
    new.task(12, "y", "released", "waiting", "processing", "memory").stop(20)
    timeline = timeline_of(old, new)
    data = data_of(timeline)
    assert [level_at(data, "memory", t) for t in (2, 9, 10, 12, 20)] == [1, 1, 0, 1, 0]
    assert [level_at(data, "workers", t) for t in (2, 9, 10, 11)] == [1, 1, 0, 1]
    assert [run["fate"] for run in data["schedulers"]] == ["killed", "stopped"]
    ((_, stays),) = data["lanes"]
    at = [(T0 + t) * 1000 for t in range(21)]
    assert stays == [[at[1], at[10], 0, 1, 0], [at[11], at[20], 0, 1, 0]]
    assert "1 scheduler ended with no record of a stop" in text_of(timeline)


def test_the_scheduler_that_runs_when_the_log_ends_keeps_its_tasks():
    log = Log().start(0).task(2, "x", "released", "waiting", "processing", "memory")
    data = data_of(timeline_of(log))
    assert data["schedulers"][0]["fate"] == "running"
    assert level_at(data, "memory", 99) == 1


def test_schedulers_that_run_side_by_side_keep_their_workers():
    logs = [Log(n).start(0).join(1, f"tcp://{n}:1").event(9, "t", "a") for n in "ab"]
    timeline = timeline_of(*logs)
    data = data_of(timeline)
    assert [run["fate"] for run in data["schedulers"]] == ["running", "running"]
    assert level_at(data, "workers", 9) == 2
    assert "no record of a stop" not in text_of(timeline)


def test_logs_that_follow_each_other_although_their_times_overlap():
    logs = []
    for name in ("a", "b"):
        log = Log(name).start(0)
        logs.append(log.task(1, name, "released", "waiting", "processing", "memory"))
        log.stop(5)
    one_by_one = data_of(timeline_of(*logs))
    assert level_at(one_by_one, "memory", 1) == 2
    mixed = Timeline()
    for pair in zip(logs[0].records, logs[1].records, strict=True):
        for record in pair:
            mixed.add(record)
    assert data_of(mixed)["levels"] == one_by_one["levels"]


def test_the_memory_of_each_scheduler_is_shown_against_its_limit():
    old = Log("Scheduler-old").start(0).sample(10, 100).sample(20, 498)
    new = Log("Scheduler-new").start(30).sample(40, 90, limit=None).stop(60)
    timeline = timeline_of(old, new)
    data = data_of(timeline)
    first, second = data["schedulers"]
    assert first["memory"] == [[10_000, 20_000], [100 * 2**20, 498 * 2**20]]
    assert (first["limit"], second["limit"]) == (512 * 2**20, None)
    assert second["memory"] == [[40_000], [90 * 2**20]]
    text = text_of(timeline)
    assert "Memory 498 of 512 MiB at most, 2026-03-04 05:00:20.000" in text
    assert text.count("killed, probably for memory: RSS was 498 of 512 MiB") == 2


def test_samples_make_the_bins_no_wider():
    log = Log().start(0).join(1, "tcp://a:1")
    for i in range(2 * POINTS):
        log.sample(10 * i, 100 + i % 100)
    log.stop(20 * POINTS)
    data = data_of(timeline_of(log))
    assert data["width"] == 1
    assert len(data["bins"]) == 3
    times, sizes = data["schedulers"][0]["memory"]
    assert len(times) == len(sizes) <= POINTS
    assert max(sizes) == 199 * 2**20
    assert times == sorted(times)


def test_a_log_shows_its_last_samples_even_if_nothing_else_happened():
    log = Log().start(0).sample(10, 100).sample(20, 100)
    data = data_of(timeline_of(log))
    assert data["end"] == data["schedulers"][0]["end"] == (T0 + 20) * 1000 + 1
    only = data_of(timeline_of(Log(seq=5).sample(10, 100)))
    assert only["start"] == (T0 + 10) * 1000
    assert only["schedulers"][0]["memory"][0] == [0]


def test_samples_are_missing_like_other_records():
    log = Log().sample(0, 100)
    log.seq += 3
    timeline = timeline_of(log.sample(10, 100).start(10))
    assert sum(data_of(timeline)["flows"]["missing"]) == 3


def test_a_scheduler_whose_samples_ended_keeps_no_tasks():
    log = Log().start(0).sample(10, 498)
    log.task(12, "x", "released", "waiting", "processing", "memory")
    timeline = timeline_of(log)
    assert level_at(data_of(timeline), "memory", 99) == 1
    timeline.quiet_at = int((T0 + 1000) * 1000)
    data = data_of(timeline)
    assert data["schedulers"][0]["fate"] == "killed"
    assert level_at(data, "memory", 99) == 0


def test_samples_that_are_not_valid_are_counted_and_warn_of_nothing():
    log = Log().sample(0, 100).sample(1, 100).start(2)
    log.records[0] |= {"severity_number": 13}
    log.records[1] |= {"rss": "much"}
    timeline = timeline_of(log)
    assert timeline.wrong == {"rss": 1}
    assert timeline.marks["warned"].count == 0
