"""A timeline: tasks by state, counts, and remarks about the log."""

from __future__ import annotations

import random
import re

from leandask.reading.timeline.columns import STATES
from leandask.reading.timeline.timeline import Timeline
from leandask.records.factory import RecordFactory
from tests.helpers.logs import T0, Log, timeline_of
from tests.helpers.timelines import data_of, level_at, text_of


def test_tasks_in_each_state():
    log = Log().start(0)
    for i in range(3):
        log.task(1, f"inc-{i}", "released", "waiting", "queued")
    log.task(2, "inc-0", "queued", "processing")
    log.task(3, "inc-0", "processing", "memory")
    log.task(4, "inc-1", "queued", "processing", "erred")
    log.task(9, "inc-0", "memory", "released", "forgotten")
    data = data_of(timeline_of(log))
    shown = {
        second: {n: level_at(data, n, second) for n in data["states"]}
        for second in (0, 1, 2, 3, 4, 9)
    }
    none = dict.fromkeys(STATES, 0)
    assert shown == {
        0: none,
        1: none | {"queued": 3},
        2: none | {"queued": 2, "processing": 1},
        3: none | {"queued": 2, "memory": 1},
        4: none | {"queued": 1, "memory": 1, "erred": 1},
        9: none | {"queued": 1, "erred": 1},
    }
    assert sum(data["flows"]["finished"]) == sum(data["flows"]["erred"]) == 1
    (ms, key, message) = data["marks"]["erred"][0]
    assert (ms, key) == ((T0 + 4) * 1000, "inc-1")
    assert message == "inc-1: processing -> erred"


def test_the_highest_level_is_shown_even_within_one_millisecond():
    log = Log().start(0)
    for i in range(50):
        log.task(1, i, "released", "waiting")
    for i in range(50):
        log.task(1, i, "waiting", "released")
    assert re.search(r"waiting\s+50\s+0", text_of(timeline_of(log)))


def test_a_beginning_that_was_rotated_away_shifts_what_is_below_zero():
    log = Log(seq=1000).task(0, "new", "released", "waiting")
    for i in range(3):
        log.task(1, f"old-{i}", "processing", "memory")
    log.leave(2, "tcp://a:1")
    timeline = timeline_of(log)
    data = data_of(timeline)
    assert [level_at(data, "processing", t) for t in (0, 1)] == [3, 0]
    assert [level_at(data, "memory", t) for t in (0, 1)] == [0, 3]
    assert [level_at(data, "workers", t) for t in (0, 2)] == [1, 0]
    ((_, ((_, _, _, join_known, leave_known),)),) = data["lanes"]
    assert (join_known, leave_known) == (0, 1)
    text = text_of(timeline)
    assert "beginning of the scheduler is not in this log" in text
    assert "starts at record 1,001" in text
    assert "raised so that none is below zero" in text


def test_records_out_of_order_and_a_clock_that_jumps_back():
    log = Log().start(0)
    for i in range(200):
        log.task(i, i, "released", "waiting", "processing", "memory")
    whole = timeline_of(log)
    shuffled = Log()
    shuffled.records = log.records.copy()
    random.Random(1).shuffle(shuffled.records)
    mixed = timeline_of(shuffled)
    assert data_of(mixed)["flows"]["finished"] == data_of(whole)["flows"]["finished"]
    assert mixed.schedulers["Scheduler-1"].sequence.late > 0
    assert "out of order" in text_of(mixed)

    log.task(-(40 * 365 * 86400), "x", "released", "waiting")
    log.task(3, "x", "waiting", "processing")
    data = data_of(timeline_of(log))
    assert data["width"] == 1
    assert min(min(values) for values in data["levels"].values()) >= 0
    assert level_at(data, "processing", 300) == 1


def test_gaps_in_seq_and_dropped_records():
    log = Log().start(0)
    log.seq += 5
    log.add(
        3,
        "leandask.records-dropped",
        dropped_since_last=4,
        dropped_total=4,
        message="4 records were dropped",
    )
    other = Log("Scheduler-2", seq=70).start(5)
    other.seq += 2
    timeline = timeline_of(log, other.stop(6))
    data = data_of(timeline)
    assert sum(data["flows"]["missing"]) == 7
    assert sum(data["flows"]["dropped"]) == 4
    assert [mark[2] for mark in data["marks"]["missing"]] == [
        "5 records are missing before seq 7",
        "2 records are missing before seq 74",
    ]
    assert [mark[2] for mark in data["marks"]["dropped"]] == ["4 records were dropped"]


def test_a_warning_under_two_topics_is_one():
    log = Log().start(0)
    for t in (1, 2):
        for topic in ("scheduler", "Client-1"):
            log.event(t, topic, "update-graph", 13, status="error")
    log.event(3, "warn", "warn", 13).event(3, "warn", "warn", 13)
    assert timeline_of(log).marks["warned"].count == 4


def test_a_log_without_transitions():
    timeline = timeline_of(Log().start(0).join(1, "tcp://a:1"))
    assert data_of(timeline)["states"] == []
    assert "no transitions in this log" in text_of(timeline)
    words = " ".join(text_of(timeline).split())
    assert "Transitions into erred -" in words
    assert "Errors not known" in words


def test_a_log_with_transitions_into_erred_only():
    log = Log().start(0).task(1, "x", "processing", "erred")
    timeline = timeline_of(log)
    data = data_of(timeline)
    assert data["states"] == []
    assert sum(data["flows"]["erred"]) == 1


def test_an_empty_log():
    assert "no records with a time" in text_of(Timeline())


def test_records_as_they_are_written():
    factory = RecordFactory("Scheduler-1")
    msg = {"action": "remove-worker", "expected": False, "worker": "tcp://a:1"}
    timeline = Timeline()
    timeline.add(factory.event(1, (30, "all", T0, msg, False))[2])
    transition = ("x", 0), "released", "waiting", {}, "stimulus", T0
    timeline.add(factory.transition(2, transition)[2])
    assert not timeline.wrong
    assert timeline.marks["lost"].count == 1
    assert level_at(data_of(timeline), "waiting", 0) == 1
