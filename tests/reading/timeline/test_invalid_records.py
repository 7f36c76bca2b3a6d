"""Records that a timeline cannot use: invalid ones, and those of other loggers."""

from __future__ import annotations

import pytest

from leandask.reading.timeline.timeline import Timeline
from leandask.records.times import rfc3339
from tests.helpers.logs import T0, Log, event_record, timeline_of
from tests.helpers.timelines import data_of, text_of

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
        (LEAVE | {"worker": 5}, "worker"),
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
