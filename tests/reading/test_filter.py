from __future__ import annotations

import datetime
import logging
import re

import pytest

from leandask.reading.filter import Filter
from leandask.records.times import rfc3339

EVENT = {
    "timestamp": "2026-11-24T12:00:00.000000Z",
    "severity_number": 9,
    "event_name": "dask.event",
    "topic": "all",
    "action": "add-worker",
    "worker": "tcp://127.0.0.1:1",
    "client": None,
    "payload": '{"action":"add-worker","stimulus_id":"s-1"}',
}
TRANSITION = {
    "timestamp": "2026-11-24T12:00:00.000000Z",
    "severity_number": 5,
    "event_name": "dask.task.transition",
    "task_key": "('x', 0)",
    "stimulus_id": "s-2",
    "recommendation_keys": ["y"],
}


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"topic": "all"},
        {"topic": ["other", "all"], "action": {"add-worker"}},
        {"event_name": "dask.event", "worker": "tcp://127.0.0.1:1"},
        {"stimulus_id": "s-1"},
        {"level": "info"},
        {"level": logging.DEBUG},
        {"since": "2026-11-24T12:00Z", "until": "2026-11-24 12:00:00"},
        {"since": "2026-11-24T14:00+02:00"},
        {"since": "2026-11-24"},
        {"until": datetime.datetime(2026, 11, 24, 12)},
    ],
)
def test_an_event_that_fits_all_parameters_matches(filters):
    assert Filter(**filters).matches(EVENT)


@pytest.mark.parametrize(
    "filters",
    [
        {"topic": "al"},
        {"topic": "all", "action": "remove-worker"},
        {"client": "Client-1"},
        {"key": "x"},
        {"stimulus_id": "add-worker"},
        {"level": "WARNING"},
        {"since": "2026-11-24T12:00:00.000001Z"},
        {"until": "2026-11-24T11:59:59.999999Z"},
    ],
)
def test_an_event_that_misses_a_parameter_does_not_match(filters):
    assert not Filter(**filters).matches(EVENT)


def test_a_key_finds_its_transitions_and_those_that_recommend_one():
    assert Filter(key=("x", 0)).matches(TRANSITION)
    assert Filter(key="y").matches(TRANSITION)
    assert Filter(key=["z", "y"]).matches(TRANSITION)
    assert not Filter(key="x").matches(TRANSITION)
    assert Filter(stimulus_id="s-2").matches(TRANSITION)
    assert not Filter(stimulus_id="s-1").matches(TRANSITION)


def test_since_may_say_how_long_ago():
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    for ago in ("15 minutes", datetime.timedelta(minutes=15), now - 900):
        wanted = Filter(since=ago)
        assert wanted.matches(EVENT | {"timestamp": rfc3339(now - 890)})
        assert not wanted.matches(EVENT | {"timestamp": rfc3339(now - 920)})


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("value", ["noon", "", True, float("nan"), 1e300, [], "5 foo"])
def test_a_time_that_is_not_valid_is_refused_by_name(name, value):
    rule = re.escape(f"{name} must be an ISO 8601 time")
    with pytest.raises(ValueError, match=rf"{rule}.*got {re.escape(repr(value))}"):
        Filter(**{name: value})


@pytest.mark.parametrize("level", ["LOUD", 11, True, 3.0])
def test_a_level_that_is_not_valid_is_refused(level):
    with pytest.raises(ValueError, match=r"level must be one of DEBUG, INFO"):
        Filter(level=level)


@pytest.mark.parametrize("value", [5, [], [None], ("a", "b")])
def test_a_topic_that_is_not_a_text_is_refused(value):
    with pytest.raises(TypeError, match="topic must be a text, or a list of texts"):
        Filter(topic=value)


def test_as_dict_makes_the_same_filter():
    wanted = Filter(key=("x", 0), topic=["a", "b"], level=30, since="1 hour", until=5.5)
    given = wanted.as_dict()
    assert given["key"] == ["('x', 0)"]
    assert (given["level"], given["until"]) == ("WARNING", rfc3339(5.5))
    assert Filter(**given).as_dict() == given
    assert repr(Filter(topic="a")) == "Filter(topic=['a'])"


def test_needles_are_those_of_the_field_with_the_longest_ones():
    assert Filter(topic="all", key="increment-1").needles == (b'"increment-1"',)
    assert set(Filter(level="ERROR").needles) == {b'"ERROR"', b'"CRITICAL"'}
    assert Filter(level="INFO", since="1 hour").needles == ()
