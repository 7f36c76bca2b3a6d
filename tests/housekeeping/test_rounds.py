from __future__ import annotations

import asyncio
import logging
import time

import dask.config
import pytest
from distributed import Client, Scheduler, Worker, wait
from distributed.utils_test import gen_test, inc

from leandask import LeanScheduler, install
from tests.helpers.schedulers import LOCAL, lean, until


@gen_test()
async def test_an_exception_in_a_job_is_counted_logged_and_stops_no_other_job(
    caplog,
):
    async with lean() as s:
        housekeeping = s.extensions["leandask"].housekeeping
        done = []

        def broken():
            raise RuntimeError("broken job")

        housekeeping.jobs = [broken, lambda: done.append(1)]
        with caplog.at_level(logging.WARNING, "leandask"):
            await housekeeping.run()
            await housekeeping.run()
        assert (housekeeping.errors, housekeeping.rounds, done) == (2, 2, [1, 1])
        assert caplog.text.count("Housekeeping failed") == 1
        assert "broken job" in caplog.text


@gen_test()
async def test_other_coroutines_run_while_a_long_job_yields():
    async with lean() as s:
        housekeeping = s.extensions["leandask"].housekeeping
        seen = []

        def long():
            for i in range(3):
                seen.append(i)
                yield

        housekeeping.jobs = [long]
        task = asyncio.create_task(housekeeping.run())
        await asyncio.sleep(0)
        assert len(seen) == 1
        await task
        assert seen == [0, 1, 2]


@pytest.mark.parametrize("installed", [False, True])
@gen_test()
async def test_it_runs_by_itself_and_ends_with_the_scheduler(installed):
    with dask.config.set({"leandask.housekeeping.interval": "10ms"}):
        kind = Scheduler if installed else LeanScheduler
        begun = time.monotonic()
        async with kind(**LOCAL) as s:
            if installed:
                install(s)
            housekeeping = s.extensions["leandask"].housekeeping
            await until(lambda: housekeeping.rounds >= 3)
            assert housekeeping.errors == 0
            assert 0 < housekeeping.longest_pause < time.monotonic() - begun
    assert not housekeeping.callback.is_running()


@gen_test()
async def test_tasks_are_computed_while_it_runs():
    with dask.config.set({"leandask.housekeeping.interval": "1ms"}):
        async with (
            lean() as s,
            Worker(s.address, dashboard=False),
            Client(s.address, asynchronous=True) as c,
        ):
            for _ in range(5):
                futures = c.map(inc, range(100), pure=False)
                total = c.submit(sum, futures)
                await wait(futures)
                assert await total == 5050
            assert s.extensions["leandask"].housekeeping.errors == 0
