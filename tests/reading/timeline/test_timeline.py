from __future__ import annotations

import json
import random
import re
import tracemalloc

import pytest

from leandask.reading.histogram import Histogram
from leandask.reading.timeline import marks, schedulers, workers
from leandask.reading.timeline.columns import STATES
from leandask.reading.timeline.page import render
from leandask.reading.timeline.timeline import NOTES, Timeline
from leandask.records.factory import RecordFactory
from leandask.records.times import rfc3339
from tests.helpers.logs import (
    HOSTILE,
    T0,
    Log,
    event_record,
    hostile_timeline,
    timeline_of,
)


def data_of(timeline):
    page = render(timeline)
    page.encode()
    blocks = re.findall(r'<script type="application/json".*?>(.*?)</script>', page)
    assert len(blocks) == 1
    return json.loads(blocks[0])


def level_at(data, name, seconds):
    """The level that the page shows for a time."""
    ms, level = (T0 + seconds) * 1000, 0
    for number, value in zip(data["bins"], data["levels"][name], strict=True):
        if data["start"] + number * data["width"] <= ms:
            level = value
    return level


def text_of(timeline):
    """The page without styles, scripts and tags."""
    page = re.sub(r"(?s)<(style|script).*?</\1>", "", render(timeline))
    return re.sub(r"<[^>]*>", " ", page)


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


def test_workers_are_counted_once_although_their_events_have_two_topics():
    log = Log().start(0).join(1, "tcp://a:1").join(2, "tcp://b:1")
    log.leave(3, "tcp://a:1").leave(4, "tcp://b:1", expected=False)
    timeline = timeline_of(log)
    data = data_of(timeline)
    assert [level_at(data, "workers", t) for t in (0, 1, 2, 3, 4)] == [0, 1, 2, 1, 0]
    at = [(T0 + t) * 1000 for t in range(5)]
    assert data["lanes"] == [
        ["tcp://a:1", [[at[1], at[3], 0, 1, 1]]],
        ["tcp://b:1", [[at[2], at[4], 1, 1, 1]]],
    ]
    assert [mark[1] for mark in data["marks"]["lost"]] == ["tcp://b:1"]
    assert not data["marks"]["warned"]
    assert sum(data["flows"]["lost"]) == 1


@pytest.mark.parametrize("level, lost", [(9, 1), (13, 1)])
def test_a_worker_is_lost_by_the_payload_or_by_the_level(level, lost):
    log = Log().start(0).join(1, "tcp://a:1")
    payload = {"expected": False} if level == 9 else {}
    log.event(2, "all", "remove-worker", level, "tcp://a:1", **payload)
    assert timeline_of(log).marks["lost"].count == lost


def test_a_worker_that_comes_back_has_one_lane():
    log = Log().start(0)
    for t in range(0, 100, 2):
        log.join(t, "tcp://a:1").leave(t + 1, "tcp://a:1")
    timeline = timeline_of(log)
    ((_, stays),) = data_of(timeline)["lanes"]
    assert len(stays) == workers.STAYS
    assert stays[-1][:2] == [(T0 + 98) * 1000, (T0 + 99) * 1000]
    assert timeline.workers.stays_hidden == 50 - workers.STAYS


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


GOOD = Log().task(0, "x", "released", "waiting").records[0]


@pytest.mark.parametrize(
    "field, value",
    [
        ("timestamp", None),
        ("timestamp", 5),
        ("timestamp", []),
        ("timestamp", "yesterday"),
        ("scheduler_id", 5),
        ("seq", None),
        ("seq", "1"),
        ("seq", -1),
        ("seq", 2**70),
        ("event_name", None),
        ("task_start", None),
        ("task_start", "odd"),
        ("task_start", []),
        ("task_finish", {}),
    ],
)
def test_a_wrong_field_is_counted_and_changes_nothing(field, value):
    timeline = Timeline()
    timeline.add(GOOD | {field: value})
    timeline.add({k: v for k, v in GOOD.items() if k != field})
    assert timeline.n_records == 2
    assert timeline.wrong or timeline.n_foreign
    assert set(timeline.wrong) <= {field}
    assert not any(map(any, timeline.histogram.rows.values()))
    data_of(timeline)
    text_of(timeline)


@pytest.mark.parametrize("record", [None, 5, "text", [], {}, {"timestamp": []}])
def test_what_is_not_a_record_is_counted(record):
    timeline = Timeline()
    timeline.add(record)
    assert sum(timeline.wrong.values()) == 1
    assert "1 record could not be used" in text_of(timeline)


JOIN = {"action": "add-worker", "topic": "all"}
LEAVE = {"action": "remove-worker", "topic": "all", "worker": "a"}
DROPPED = {"event_name": "leandask.records-dropped"}


@pytest.mark.parametrize(
    "fields, wrong",
    [
        (JOIN, "worker"),
        (JOIN | {"worker": {}}, "worker"),
        (LEAVE | {"payload": 5}, "payload"),
        (LEAVE | {"payload": ...}, "payload"),
        (LEAVE | {"payload": '{"expected"'}, "payload"),
        ({"severity_number": "high"}, "severity_number"),
        (DROPPED, "dropped_since_last"),
        (DROPPED | {"dropped_since_last": 2**99}, "dropped_since_last"),
    ],
)
def test_a_wrong_event_is_counted(fields, wrong):
    timeline = Timeline()
    record = event_record(0, "t") | fields
    timeline.add({name: value for name, value in record.items() if value is not ...})
    assert timeline.wrong == {wrong: 1}
    assert not timeline.workers.stays
    assert not any(map(any, timeline.histogram.rows.values()))
    text_of(timeline)


def test_records_of_other_loggers_are_counted_and_their_warnings_shown():
    timeline = timeline_of(Log().start(0))
    foreign = {"timestamp": rfc3339(T0 + 9), "logger": "app", "message": "oh"}
    timeline.add(foreign | {"severity_number": 9})
    timeline.add(foreign | {"severity_number": 17})
    assert timeline.n_foreign == 2
    assert data_of(timeline)["marks"]["warned"] == [[(T0 + 9) * 1000, "app", "oh"]]


def test_remarks_are_bounded():
    timeline = Timeline()
    for i in range(100):
        timeline.note(f"<b>remark {i}</b>" + "x" * 1000)
    assert len(timeline.notes) == NOTES
    assert "80 more remarks about the log" in text_of(timeline)
    assert "<b>remark" not in render(timeline)


def test_bins_keep_all_counts_as_they_widen():
    histogram = Histogram(columns=1, limit=64)
    rng = random.Random(0)
    times = [rng.randrange(10**12) for _ in range(2000)]
    for ms in times:
        histogram.row(ms)[0] += 1
        assert len(histogram.rows) <= 64
    assert sum(row[0] for _, row in histogram.sorted()) == len(times)
    for start, (n,) in histogram.sorted():
        assert n == sum(start <= ms < start + histogram.width for ms in times)


def test_memory_does_not_grow_with_the_log():
    timeline = Timeline()
    text = "é" * 3000

    def fill(first, n):
        for i in range(first, first + n):
            log = Log(f"Scheduler-{i // 4}", seq=i % 4 * 9)
            worker = f"tcp://{i}:{text}"
            log.event(i * 60, "all", "add-worker", worker=worker)
            if i % 3:
                log.event(i * 60, "all", "remove-worker", 13, worker)
            log.event(i * 60, f"{i}{text}", "odd", 13)
            log.task(i * 60, f"{i}{text}", "processing", "erred")
            for record in log.records:
                timeline.add(record)
            timeline.note(text)

    tracemalloc.start()
    try:
        fill(0, 6000)
        before = tracemalloc.get_traced_memory()[0]
        fill(6000, 2000)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Only ints grow, and the fill of the bins goes up and down.
    assert after < before + 2**21
    assert before < 20 * 2**20
    assert len(timeline.schedulers) == schedulers.SCHEDULERS
    assert len(timeline.workers.stays) == workers.WORKERS_SHOWN
    assert len(timeline.histogram.rows) <= timeline.histogram.limit
    assert {len(m) for m in timeline.marks.values()} <= {
        0,
        marks.FIRST + marks.NEWEST,
    }
    text = text_of(timeline)
    assert "first and the 800 newest are listed" in text
    assert "have no lane" in text
    assert "have no bar of their own" in text


def test_workers_that_stay_do_not_grow_the_lanes():
    log = Log().start(0)
    for i in range(2000):
        log.event(i, "all", "add-worker", worker=f"tcp://{i}:1")
    for i in range(2000):
        log.event(3000 + i, "all", "remove-worker", worker=f"tcp://{i}:1")
    timeline = timeline_of(log)
    assert len(timeline.workers.stays) == workers.WORKERS_SHOWN
    assert timeline.workers.hidden == 1500
    data = data_of(timeline)
    assert max(data["levels"]["workers"]) == 2000
    assert data["levels"]["workers"][-1] == 0


def test_hostile_texts_stay_texts():
    timeline = hostile_timeline()
    page = render(timeline)
    page.encode("utf-8")
    assert not timeline.wrong
    assert page.count("<script") == page.count("</script") == 2
    assert "<img" not in page
    assert "\u2028" not in page
    data = data_of(timeline)
    assert [mark[1] for mark in data["marks"]["erred"]][:2] == HOSTILE[:2]
    assert data["marks"]["erred"][4][1] == "\\ud800 alone"
    assert data["marks"]["erred"][8][1] == "k" * 512


def test_the_policy_allows_only_the_pages_own_script():
    page = render(Timeline())
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "http" not in policy
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)


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
