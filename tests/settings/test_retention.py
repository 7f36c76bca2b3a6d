from __future__ import annotations

import dataclasses

import dask
import pytest

from leandask import Retention
from leandask.settings.rules import smaller

LOW = "distributed.admin.low-level-log-length"
STATUS = "distributed.scheduler.dashboard.status.task-stream-length"
TASKS = "distributed.scheduler.dashboard.tasks.task-stream-length"


def test_what_is_omitted_comes_from_the_configuration():
    with dask.config.set({"leandask.retention.events": 7}):
        retention = Retention(topics=5)
    assert (retention.events, retention.topics, retention.transition_log) == (7, 5, 100)


def test_none_is_unbounded_and_zero_keeps_nothing():
    retention = Retention(events=None, computations=0)
    assert (retention.events, retention.computations) == (None, 0)
    assert "events unbounded, " in str(retention)
    assert "computations 0, " in str(retention)


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ({"events": True}, TypeError),
        ({"events": "50"}, TypeError),
        ({"events": 1.0}, TypeError),
        ({"events": -1}, ValueError),
        ({"topics": 0}, ValueError),
        ({"transition_log": 0}, ValueError),
        ({"computations": 2**70}, ValueError),
    ],
)
def test_a_bad_bound_is_refused_by_name(bounds, error):
    [(name, value)] = bounds.items()
    key = f"leandask.retention.{name.replace('_', '-')}"
    rule = r"must be a whole number of at (least|most) \d+, or null for unbounded; got "
    with pytest.raises(error, match=rf"^{key} {rule}{value!r}$"):
        Retention(**bounds)


@pytest.mark.parametrize("size", [float("inf"), float("nan"), "1e400", "1e30"])
def test_a_size_beyond_all_memory_is_refused_by_name(size):
    rule = r"must be a size of at (least|most) \d+ bytes, such as '16 MiB', or null"
    with pytest.raises(ValueError, match=rf"^leandask.retention.event-bytes {rule}"):
        Retention(event_bytes=size)


@pytest.mark.parametrize("key", ["erred-tasks", "erred_tasks"])
def test_a_mapping_names_bounds_as_yaml_or_as_python_does(key):
    assert Retention.of({key: 3}).erred_tasks == 3


def test_a_retention_is_returned_unchanged():
    retention = Retention(events=1)
    assert Retention.of(retention) is retention
    assert Retention.of() == Retention()
    with pytest.raises(dataclasses.FrozenInstanceError):
        retention.events = 2


@pytest.mark.parametrize(
    "bounds", [{"event": 1}, {5: 1}, "events=1", 5, [("events", 1)]]
)
def test_bounds_that_are_not_a_mapping_of_known_keys_are_refused(bounds):
    with pytest.raises((TypeError, ValueError), match=r"^retention must (be|have)"):
        Retention.of(bounds)


@pytest.mark.parametrize("configured", [{"event": 1}, None, 5])
def test_a_configuration_that_is_not_a_mapping_of_known_keys_is_refused(configured):
    with dask.config.set({"leandask.retention": configured}):
        with pytest.raises((TypeError, ValueError), match=r"^leandask.retention must"):
            Retention.of()


def test_upstreams_defaults_do_not_count_as_the_users_own():
    retention = Retention(events=5000, task_stream=200_000, log_records=20_000)
    assert retention.effective() == retention


def test_the_smaller_of_both_wins():
    with dask.config.set({LOW: 50, "distributed.admin.max-error-length": 1000}):
        retention = Retention(events=20).effective()
    assert (retention.events, retention.transition_log) == (20, 50)
    assert (retention.messages, retention.error_length) == (0, 250)


def test_where_one_side_is_null_the_bound_of_the_other_holds():
    with dask.config.set({LOW: None}):
        assert Retention().effective().events == 100
    with dask.config.set({LOW: 50}):
        assert Retention(events=None).effective().events == 50


def test_the_transition_log_is_never_empty():
    with dask.config.set({LOW: 0}):
        assert Retention().effective().transition_log == 1


def test_the_larger_of_upstreams_two_task_stream_settings_counts():
    with dask.config.set({STATUS: 10, TASKS: 20}):
        assert Retention().effective().task_stream == 20
    with dask.config.set({TASKS: 20}):
        assert Retention().effective().task_stream == 500


def test_an_upstream_setting_that_is_not_a_number_is_refused_by_its_name():
    with dask.config.set({LOW: "many"}):
        with pytest.raises(TypeError, match=f"^{LOW} must be"):
            Retention().effective()


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(1, 2, 1), (None, 2, 2), (0, None, 0), (None, None, None)]
)
def test_the_smaller_bound_is_the_one_that_is_not_none(a, b, expected):
    assert smaller(a, b) == expected
    assert smaller(b, a) == expected
