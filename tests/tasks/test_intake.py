from __future__ import annotations

import gc
import inspect

import dask.order
import pytest
from dask import delayed
from distributed import Client, Scheduler
from distributed.protocol import Serialized
from distributed.utils_test import gen_test

from leandask import _compat
from leandask.tasks import intake as module
from tests.helpers.schedulers import lean, until
from tests.tasks.test_collector import LARGE, collector_of, own_process

__all__ = ["own_process"]

PARAMETERS = inspect.signature(Scheduler.update_graph).parameters


def graph_of(n):
    """A sum of n tasks: the scheduler finds their order."""
    return delayed(sum)([delayed(abs, pure=False)(-i) for i in range(n)])


@gen_test()
async def test_a_large_graph_is_frozen_before_its_order_is_found(
    own_process, monkeypatch
):
    steps = []
    original = dask.order.order

    def order(*args, **kwargs):
        steps.append(("order", gc.isenabled(), gc.get_freeze_count()))
        return original(*args, **kwargs)

    monkeypatch.setattr("dask.order.order", order)
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector_of(s).large = 10 * LARGE
        first = c.compute(graph_of(LARGE))
        await until(lambda: len(s.tasks) == LARGE + 1)
        monkeypatch.setattr(module, "LARGE_SECONDS", -1.0)  # each is large
        before = gc.get_freeze_count()
        second = c.compute(graph_of(LARGE))
        await until(lambda: len(s.tasks) == 2 * LARGE + 2)
        await until(gc.isenabled)
        del first, second
    (_, small_enabled, small), (_, _, large) = steps
    assert small_enabled
    assert small <= before
    assert large > before + LARGE


@pytest.mark.skipif(
    "expr_ser" not in PARAMETERS,
    reason="the frames come in a tuple",
)
@gen_test()
async def test_the_frames_of_a_graph_are_gone_as_its_tasks_are_made():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        intake = s.extensions["leandask"].intake
        received, frames = [], []
        handle, make = intake.update_graph, intake._make_tasks

        async def update_graph(**message):
            received.append(message["expr_ser"])  # as the stream holds it
            await handle(**message)

        def make_tasks(**kwargs):
            frames.extend(value.frames for value in received)
            return make(**kwargs)

        s.stream_handlers["update-graph"] = update_graph
        intake._make_tasks = make_tasks
        future = c.compute(graph_of(3))
        await until(lambda: len(s.tasks) == 4)
        assert frames == [[]]
        del future


@gen_test()
async def test_memory_is_trimmed_after_a_large_graph_only():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        collector_of(s)
        trims = []
        s.extensions["leandask"].intake._trim = lambda: trims.append(1)
        small = c.compute(graph_of(3))
        await until(lambda: len(s.tasks) == 4)
        assert not trims
        large = c.compute(graph_of(LARGE))
        await until(lambda: trims)
        del small, large


@gen_test()
async def test_a_graph_that_fails_is_reported_as_upstream_does(own_process):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        future = c.submit(abs, -1)
        await until(lambda: s.tasks)
        message = Serialized({"serializer": "none such"}, [])
        names = {"expr_ser": message, "graph_header": {}, "graph_frames": []}
        taken = {k: v for k, v in names.items() if k in PARAMETERS}
        await s.stream_handlers["update-graph"](
            client=c.id,
            keys={"x"},
            span_metadata={},
            internal_priority=None,
            submitting_task=None,
            **taken,
        )
        assert set(s.tasks) == {future.key}
        assert gc.isenabled()


def test_frames_move_out_of_a_message():
    frames = [memoryview(b"x")]
    value = Serialized({"a": 1}, frames)
    message = {"expr_ser": value, "keys": ["k"]}
    _compat.move_frames(message)
    assert value.frames == []
    assert message == {"expr_ser": Serialized({"a": 1}, frames), "keys": ["k"]}
