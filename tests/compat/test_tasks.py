"""What lean tasks hook into."""

from __future__ import annotations

import distributed.scheduler
import pytest
from distributed.collections import HeapSet
from distributed.scheduler import Scheduler, SchedulerState, TaskState, WorkerState
from distributed.utils_test import gen_test

from leandask import _compat
from tests.helpers.schedulers import LOCAL, lean


@gen_test()
async def test_this_release_is_as_we_know_it():
    async with Scheduler(port=0, **LOCAL) as s:
        assert list(_compat.differences(s)) == []


@pytest.mark.parametrize(
    ("owner", "name", "value", "told"),
    [
        (TaskState, "__slots__", ("key",), "TaskState has no waiters"),
        (Scheduler, "new_task", None, "Scheduler has no new_task"),
        (
            Scheduler,
            "client_desires_keys",
            lambda self, keys, client, more: None,
            "Scheduler.client_desires_keys has other parameters",
        ),
        (
            WorkerState,
            "add_replica",
            lambda self: None,
            "WorkerState.add_replica has other parameters",
        ),
        (
            SchedulerState,
            "_TRANSITIONS_TABLE",
            {},
            "the transition from released to waiting is another function",
        ),
        (HeapSet, "merge", None, "HeapSet differs in merge"),
    ],
)
@gen_test()
async def test_where_a_release_differs_tasks_stay_upstreams_own(
    monkeypatch, caplog, owner, name, value, told
):
    monkeypatch.setattr(owner, name, value, raising=False)
    caplog.set_level("INFO", "leandask")
    async with lean(port=0) as s:
        tasks = s.extensions["leandask"].tasks
        assert not tasks.lean
        assert told in tasks.why
        assert f"Tasks are not lean: {tasks.why}" in caplog.messages
        assert type(s.queued) is HeapSet
        assert "_remove_key" not in vars(s)
        report = s.extensions["leandask"].report()
        assert report["lean_tasks"] == {"lean": False, "why": tasks.why}


@gen_test()
async def test_another_queue_stays():
    class Queue(HeapSet):
        pass

    async with Scheduler(port=0, **LOCAL) as s:
        s.queued = Queue(key=lambda ts: ts.priority)
        assert list(_compat.differences(s)) == ["the queue is a Queue"]


@gen_test()
async def test_the_table_of_transitions_is_looked_up_at_each_transition():
    calls = []

    def forget(scheduler, key, stimulus_id):
        calls.append(key)
        return {}, {}, {}

    async with Scheduler(port=0, **LOCAL) as s:
        _compat.set_transitions(s, {("released", "forgotten"): forget})
        s.new_task("x", None, "released")
        s.transitions({"x": "forgotten"}, "test")
        assert calls == ["x"]
    table = distributed.scheduler.Scheduler._TRANSITIONS_TABLE
    assert table["released", "forgotten"] is not forget


def test_what_tells_runs_of_a_task_apart():
    assert "run_id" in TaskState.__slots__
