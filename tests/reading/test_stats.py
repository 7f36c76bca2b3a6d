from __future__ import annotations

import pytest

from leandask.reading.stats import NAMES, OTHERS, PERIODS, LogStats, Tally
from leandask.reading.timeline.timeline import Timeline
from leandask.records.times import rfc3339
from tests.helpers.logs import T0, Log, event_record, record, transition_record

WARNING = {"severity": "WARNING", "severity_number": 13}


def event(topic, seconds=0.0, **msg):
    return event_record(seconds, topic, **msg)


def transition(finish, seconds=0.0):
    return transition_record(seconds, "x", "waiting", finish)


def stats_of(*records):
    stats = LogStats()
    for each in records:
        stats.add(each)
    return stats


@pytest.mark.parametrize("level, lost", [({}, 0), (WARNING, 1)])
def test_stats_and_timeline_count_the_same_lost_workers(level, lost):
    gone = event("all", action="remove-worker", worker="w", expected=False) | level
    records = [event("all", action="add-worker", worker="w"), gone]
    assert stats_of(*records).as_dict()["workers_lost"] == lost
    timeline = Timeline()
    for each in records:
        timeline.add(each)
    assert timeline.marks["lost"].count == lost


def test_records_workers_tasks_and_topics_are_counted():
    found = stats_of(
        record(event_name="dask.scheduler.start"),
        event("all", action="add-worker", worker="w"),
        event("w", action="add-worker"),
        transition("processing"),
        transition("erred"),
        event("all", action="remove-worker", worker="w") | WARNING,
        event("w", action="remove-worker") | WARNING,
        event("all", action="remove-worker", worker="v"),
        record(9, event_name="leandask.records-dropped", dropped_since_last=7),
    ).as_dict()
    assert found["records"] == 9
    assert (found["first"], found["last"]) == (rfc3339(T0), rfc3339(T0 + 9))
    assert found["states"] == {"erred": 1, "processing": 1}
    assert found["tasks_erred"] == 1
    assert found["workers_joined"] == 1
    assert (found["workers_left"], found["workers_lost"]) == (2, 1)
    assert found["dropped"] == 7
    assert found["topics"] == {"all": 3, "w": 2}
    assert found["actions"] == {"remove-worker": 3, "add-worker": 2}
    assert list(found["event_names"]) == [
        "dask.event",
        "dask.task.transition",
        "dask.scheduler.start",
        "leandask.records-dropped",
    ]


def test_the_highest_memory_of_all_its_limit_and_its_time():
    log = Log().start(0).sample(10, 100).pressure(15, 498).sample(20, 300)
    found = stats_of(*log.records, *Log("Scheduler-2").sample(30, 90).records).as_dict()
    assert found["memory_peak"] == 498 * 2**20
    assert found["memory_limit"] == 512 * 2**20
    assert found["memory_peak_at"] == rfc3339(T0 + 15)
    wrong = log.sample(40, 400).records[-1] | {"rss": -1}
    assert stats_of(wrong).as_dict()["memory_peak"] is None


def test_samples_make_the_periods_no_wider():
    log = Log().start(0)
    for i in range(2 * PERIODS):
        log.sample(10 * i, 100)
    stats = stats_of(*log.records)
    assert stats.rates() == [(int(T0) * 1000, 1.0)]
    assert stats.as_dict()["last"] == rfc3339(T0 + 10 * (2 * PERIODS - 1))


def test_an_empty_log_has_no_counts():
    found = LogStats().as_dict()
    assert (found["records"], found["first"], found["topics"]) == (0, None, {})
    assert LogStats().rates() == []


def test_each_record_whose_timestamp_is_not_a_time_is_wrong():
    stats = stats_of(record(), *[record() | {"timestamp": "soon"}] * 3, record(1))
    found = stats.as_dict()
    assert (found["records"], found["wrong"]) == (5, 3)
    assert (found["first"], found["last"]) == (rfc3339(T0), rfc3339(T0 + 1))
    assert [rate for _, rate in stats.rates()] == [1.0, 1.0]


def test_rates_over_time():
    stats = stats_of(*[transition("memory", i / 100) for i in range(1000)])
    assert stats.rates() == [(int(T0 + i) * 1000, 100.0) for i in range(10)]
    assert stats.as_dict()["records_per_second_max"] == 100.0


def test_names_and_periods_are_bounded():
    stats = stats_of(*[event(f"t-{i}", i * 60) for i in range(NAMES + 5)])
    topics = stats.as_dict()["topics"]
    assert len(topics) == NAMES + 1
    assert topics[OTHERS] == 5
    assert len(stats.rates()) <= PERIODS
    assert stats.as_dict()["records"] == NAMES + 5


def test_long_names_are_cut():
    tally = Tally()
    tally.add("x" * 10**6)
    [name] = tally
    assert len(name) < 1000


def test_tasks_that_erred_are_not_known_without_transitions():
    assert stats_of(event("all", action="x")).as_dict()["tasks_erred"] is None


def test_the_rate_does_not_depend_on_how_long_a_log_is():
    for seconds in (PERIODS // 2, 4 * PERIODS):
        stats = stats_of(*(record(i / 2) for i in range(2 * seconds)))
        assert {rate for _, rate in stats.rates()} == {2.0}


def test_first_and_last_are_by_time():
    found = stats_of(record(5), record(0), record(2)).as_dict()
    assert (found["first"], found["last"]) == (rfc3339(T0), rfc3339(T0 + 5))


@pytest.mark.parametrize(
    "wrong",
    [
        event("all", action="add-worker", worker="w") | {"severity": None},
        transition("memory") | {"severity": None},
        transition("memory") | {"task_finish": ["memory"]},
        transition("memory") | {"timestamp": "now"},
        record(event_name="leandask.records-dropped", dropped_since_last=-1),
        record(event_name="leandask.sample", rss=-1, limit=None),
    ],
)
def test_no_part_of_a_wrong_record_is_counted(wrong):
    nothing = stats_of().as_dict()
    assert stats_of(wrong).as_dict() == nothing | {"records": 1, "wrong": 1}
