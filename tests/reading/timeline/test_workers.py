"""Workers in a timeline: their number, their lanes, and those that were lost."""

from __future__ import annotations

import pytest

from leandask.reading.timeline import workers
from tests.helpers.logs import T0, Log, timeline_of
from tests.helpers.timelines import data_of, level_at


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


@pytest.mark.parametrize("level, lost", [(9, 0), (13, 1)])
def test_a_worker_is_lost_by_the_level(level, lost):
    log = Log().start(0).join(1, "tcp://a:1")
    log.event(2, "all", "remove-worker", level, "tcp://a:1", expected=False)
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
