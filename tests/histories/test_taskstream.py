from __future__ import annotations

import inspect
from itertools import product
from types import SimpleNamespace

import pytest
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.protocol import dumps, loads

from leandask.histories import taskbuffer, taskstream

#: Since 2026.6.
IS_BY_INDEX = "start_index" in inspect.signature(TaskStreamPlugin.collect).parameters


def run(stream, i):
    startstops = ({"action": "compute", "start": i, "stop": i + 0.5},)
    stream.transition(f"x-{i}", "processing", "memory", startstops=startstops)


@pytest.fixture
def streams(monkeypatch):
    """Upstream's task stream and ours, after the same tasks."""
    monkeypatch.setattr(taskbuffer, "BLOCK", 8)
    scheduler = SimpleNamespace(tasks={f"x-{i}" for i in range(40)})
    upstreams, ours = (TaskStreamPlugin(scheduler, maxlen=30) for _ in range(2))
    taskstream.adopt(ours, 5)
    ours.buffer.is_watched = True
    for i in range(40):
        run(upstreams, i)
        run(ours, i)
    while len(upstreams.buffer) > len(ours.buffer):  # ours evicts a block at once
        upstreams.buffer.popleft()
    return upstreams, ours


TIMES = [None, 0, 11, 20.2, 39, 50]
QUESTIONS = [
    {"start": start, "stop": stop, "count": count}
    for start, stop, count in product(TIMES, TIMES, [None, 0, 3, 100])
]
if IS_BY_INDEX:
    QUESTIONS += [{"start_index": index} for index in (0, 10, 14, 25, 40, 50)]


def test_the_same_tasks_are_found_as_by_upstream(streams):
    upstreams, ours = streams
    for asked in QUESTIONS:
        tasks = upstreams.collect(**asked)
        assert ours.collect(**asked) == tasks, asked
        assert loads(dumps(ours.answer(**asked))) == tuple(tasks), asked


def test_nothing_is_found_where_nothing_ran():
    stream = TaskStreamPlugin(SimpleNamespace(tasks={}), maxlen=30)
    taskstream.adopt(stream, 5)
    for asked in QUESTIONS:
        assert stream.collect(**asked) == []
        assert loads(dumps(stream.answer(**asked))) == ()


@pytest.mark.parametrize("asked", [{"start": "1 week"}, {"stop": "0s"}, {}])
def test_times_ago_are_understood(streams, asked):
    upstreams, ours = streams
    assert ours.collect(**asked) == upstreams.collect(**asked)
