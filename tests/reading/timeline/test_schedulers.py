"""Schedulers in a timeline: their ends, and what a log with several of them shows."""

from __future__ import annotations

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
