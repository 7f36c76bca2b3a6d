"""A scheduler takes its settings, and refuses bad ones before it starts."""

from __future__ import annotations

import logging

import dask
import pytest
from distributed import (
    Scheduler,
)
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.utils_test import gen_test

import leandask
from leandask import Retention, install
from leandask.histories import monitor
from leandask.records.loggers import EVENTS, TRANSITIONS
from tests.helpers.schedulers import LOCAL, lean


@gen_test()
async def test_a_smaller_upstream_setting_of_the_user_wins():
    own = {
        "distributed.admin.low-level-log-length": 5,
        "distributed.admin.log-length": 4,
        "distributed.diagnostics.computations.max-history": 2,
    }
    with dask.config.set(own):
        async with lean(retention={"events": 50, "computations": 10}) as s:
            assert s.retention.events == 5
            s.log_event("x", 1)
            assert s._broker.topics["x"].events.maxlen == 5
            assert (s.transition_log.maxlen, s.computations.maxlen) == (5, 2)
            assert s.retention.log_records == 4


@gen_test()
async def test_a_task_stream_that_keeps_less_is_left_as_it_is():
    async with lean() as s:
        s.add_plugin(TaskStreamPlugin(s, maxlen=50))
        assert s.plugins["task-stream"].buffer.maxlen == 50


@pytest.mark.parametrize("bounds", [{"events": -1}, {"events": True}, {"nope": 1}])
@gen_test()
async def test_a_bad_bound_is_refused_before_anything_starts(bounds):
    before = set(Scheduler._instances)
    with pytest.raises((TypeError, ValueError), match=r"retention.* must "):
        lean(retention=bounds)
    assert set(Scheduler._instances) == before


@gen_test()
async def test_a_start_that_fails_leaves_no_event_log_open(tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("no samples")

    monkeypatch.setattr(monitor, "resize_samples", fail)
    before = EVENTS.handlers[:], TRANSITIONS.level
    settings = {
        "leandask.event-log.path": str(tmp_path / "log"),
        "leandask.stream.transitions": True,
    }
    with dask.config.set(settings), pytest.raises(RuntimeError, match="no samples"):
        lean()
    assert (EVENTS.handlers, TRANSITIONS.level) == before


@gen_test()
async def test_a_bad_setting_is_refused_by_its_key():
    with dask.config.set({"leandask.stream.queue-length": "many"}):
        with pytest.raises(TypeError, match=r"leandask\.stream\.queue-length must be"):
            lean()


@gen_test()
async def test_the_effective_retention_is_logged_once_and_can_be_read(caplog):
    with caplog.at_level(logging.INFO, logger="leandask"):
        async with lean(retention=Retention(events=7)) as s:
            assert s.retention.events == 7
    lines = [r.getMessage() for r in caplog.records if "Retention" in r.msg]
    assert len(lines) == 1
    assert "events 7, topics 1000" in lines[0]


@pytest.mark.parametrize("is_installed", [False, True])
@gen_test()
async def test_an_unknown_key_is_logged_once(is_installed, caplog):
    with dask.config.set({"leandask.event-log.pth": "x"}):
        async with Scheduler(**LOCAL) if is_installed else lean() as s:
            install(s)
    lines = [r.getMessage() for r in caplog.records if "not a setting" in r.msg]
    assert lines == ["leandask.event-log.pth is not a setting"]


@gen_test()
async def test_a_bad_upstream_setting_is_refused_before_anything_starts():
    before = set(Scheduler._instances)
    with dask.config.set({"distributed.admin.log-length": -1}):
        with pytest.raises(ValueError, match=r"^distributed\.admin\.log-length must"):
            lean()
    assert set(Scheduler._instances) == before


def test_importing_configures_no_logging():
    assert logging.getLogger("leandask").handlers == []
    [handler] = logging.getLogger("leandask.events").handlers
    assert isinstance(handler, logging.NullHandler)
    assert leandask.__version__
