from __future__ import annotations

import asyncio
import sys
import time

import dask
import pytest
from distributed import Scheduler, profile
from distributed.utils_test import gen_test

import leandask
from tests.helpers.schedulers import LOCAL, lean, lean_cluster


def add_stacks(scheduler, count):
    """Add what a thread of upstream's adds, but on CPython 3.11."""
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
        await s.extensions["leandask"].housekeeping.run()
        assert 20 <= len(stacks) < 30


@gen_test()
async def test_without_a_bound_they_stay_as_upstream_keeps_them():
    async with lean(retention={"profile": None}) as s:
        add_stacks(s, 30)
        await s.extensions["leandask"].housekeeping.run()
        assert len(s.io_loop.profile) >= 30


@gen_test()
async def test_another_bound_counts_at_once():
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
            await s.extensions["leandask"].housekeeping.run()
            assert len(s.io_loop.profile) < 200
            # It is still read, and is added to: an idle event loop has no stack.
            while not (await c.profile(scheduler=True))["count"]:
                await asyncio.sleep(0.01)
