from __future__ import annotations

import asyncio
import pickle
import sys
import time
from collections import deque

import dask
import pytest
from distributed import Scheduler, profile
from distributed.system_monitor import SystemMonitor
from distributed.utils_test import gen_test

import leandask
from leandask import install
from leandask.histories.monitor import Quantities, Samples, resize_samples
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, run_housekeeping


def test_samples_are_read_as_a_deque_is():
    samples, model = Samples([], 5), deque(maxlen=5)
    for i in range(13):
        samples.append(i)
        model.append(i)
        assert list(samples) == list(model)
        assert len(samples) == len(model)
        assert [samples[j] for j in range(-len(model), 0)] == list(model)
        assert samples[-1] == model[-1]
    with pytest.raises(IndexError, match="has no index 5"):
        samples[5]
    assert repr(samples) == "<Samples: 5/5>"
    assert pickle.loads(pickle.dumps(samples)) == model


def test_whole_numbers_stay_whole():
    samples = Samples([12345678], 3)
    assert type(samples[-1]) is int
    samples = Samples([0.5], 3)
    assert samples[-1] == 0.5


def test_a_quantity_that_a_device_does_not_report_is_none():
    samples = Samples([None], 3)
    samples.append(7)
    samples.append(None)
    assert list(samples) == [None, 7, None]
    assert type(samples[1]) is int


def test_a_monitor_answers_as_before_within_its_bound():
    bounded, whole = SystemMonitor(maxlen=100), SystemMonitor(maxlen=100)
    resize_samples(bounded, 10)
    for _ in range(20):
        bounded.update()
        whole.update()
    assert bounded.recent().keys() == whole.recent().keys()
    assert len(bounded.range_query(0)["time"]) == 10
    assert {k: len(v) for k, v in bounded.range_query(18).items()} == {
        k: len(v) for k, v in whole.range_query(18).items()
    }
    assert type(bounded.recent()["memory"]) is int
    assert repr(bounded).startswith("<SystemMonitor: cpu: ")
    for monitor in (bounded, whole):
        monitor.close()


@gen_test()
async def test_the_bound_limits_the_samples_of_every_quantity():
    async with lean(retention={"samples": 7}) as s:
        for _ in range(30):
            s.monitor.update()
        assert {len(q) for q in s.monitor.quantities.values()} == {7}


@gen_test()
async def test_install_keeps_the_last_samples():
    async with Scheduler(**LOCAL) as s:
        for _ in range(30):
            s.monitor.update()
        times = list(s.monitor.quantities["time"])
        install(s, {"samples": 7})
        assert list(s.monitor.quantities["time"]) == times[-7:]


def test_quantities_are_pickled_as_upstreams_types():
    quantities = Quantities({"cpu": [1, 2, 3]}, 2, None)
    assert pickle.loads(pickle.dumps(quantities)) == {"cpu": deque([2, 3])}


def add_stacks(scheduler, count):
    """Add what upstream's profiling thread adds, except on CPython 3.11."""
    for _ in range(count):
        scheduler.io_loop.profile.append((time.time(), profile.create()))


@gen_test()
async def test_the_last_stacks_stay():
    async with Scheduler(**LOCAL) as s:
        add_stacks(s, 30)
        stacks = s.io_loop.profile
        last = list(stacks)[-20:]
        leandask.install(s, {"profile": 20})
        assert s.io_loop.profile is stacks  # the thread and open pages hold it
        assert list(stacks)[:20] == last
        add_stacks(s, 30)
        await run_housekeeping(s)
        assert 20 <= len(stacks) < 30


@gen_test()
async def test_without_a_bound_stacks_stay_as_upstream_keeps_them():
    async with lean(retention={"profile": None}) as s:
        add_stacks(s, 30)
        await run_housekeeping(s)
        assert len(s.io_loop.profile) >= 30


@gen_test()
async def test_another_bound_applies_at_once():
    async with lean_cluster() as (s, c):
        add_stacks(s, 30)
        await leandask.set_retention(c, profile=10)
        held = s.extensions["leandask"].report()["histories"]["profile"]
        assert held["bound"] == 10 <= held["kept"] < 30


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 11), reason="upstream takes no stacks on CPython 3.11"
)
@gen_test()
async def test_the_profile_of_the_event_loop_is_bounded():
    often = {
        "distributed.worker.profile.enabled": True,
        "distributed.worker.profile.interval": "1ms",
        "distributed.worker.profile.cycle": "1ms",
    }
    with dask.config.set(often):
        async with lean_cluster(retention={"profile": 5}) as (s, c):
            while len(s.io_loop.profile) < 200:
                await asyncio.sleep(0.01)
            await run_housekeeping(s)
            assert len(s.io_loop.profile) < 200
            # It is still read, and is added to: an idle event loop has no stack.
            while not (await c.profile(scheduler=True))["count"]:
                await asyncio.sleep(0.01)
