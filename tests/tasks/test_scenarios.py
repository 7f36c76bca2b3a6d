"""Lean tasks with real workers and clients, in all that users do."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

import dask
import pytest
from distributed import Client, Scheduler, Worker
from distributed.utils_test import gen_test

from leandask import install
from leandask.tasks.taskstate import LeanTaskState
from tests.helpers.schedulers import LOCAL, lean, until
from tests.tasks.scenarios import clients, graphs, workers
from tests.tasks.scenarios.cluster import HEAVY, SCENARIOS, Cluster, inc

#: The modules that fill SCENARIOS.
ASSERTED = clients, graphs, workers

#: As users get them: upstream's tests stop the rounds of stealing.
SETTINGS = {
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.admin.tick.limit": "1h",
}

NAMES = [
    pytest.param(name, marks=[pytest.mark.nightly] if name in HEAVY else [])
    for name in SCENARIOS
]


async def run(scenario, scheduler):
    """Run a scenario with workers and clients of a scheduler; check what it leaves."""
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                Worker(scheduler.address, nthreads=2, dashboard=False, validate=True)
            )
            for _ in range(3)
        ]
        clients = [
            await stack.enter_async_context(
                Client(scheduler.address, asynchronous=True)
            )
            for _ in range(2)
        ]
        cluster = Cluster(scheduler, workers, *clients)
        try:
            await scenario(cluster)
            scheduler.validate_state()
        finally:
            for client in clients:
                with suppress(OSError):
                    await client.close()
            for worker in cluster.more:
                await worker.close()
    await until(lambda: not scheduler.tasks)
    assert not scheduler.queued
    assert not scheduler.unrunnable
    assert not scheduler.replicated_tasks


@pytest.mark.parametrize("name", NAMES)
@gen_test(timeout=100)
async def test_scenario(name):
    with dask.config.set(SETTINGS):
        async with lean(validate=True) as scheduler:
            made = []
            new_task = scheduler.new_task
            scheduler.new_task = lambda *a, **k: (
                made.append(new_task(*a, **k)) or made[-1]
            )
            await run(SCENARIOS[name], scheduler)
    assert made
    assert {type(ts) for ts in made} == {LeanTaskState}


@gen_test()
async def test_old_tasks_stay_and_new_ones_are_lean():
    async with (
        Scheduler(**LOCAL, validate=True) as s,
        Worker(s.address, dashboard=False, validate=True),
        Client(s.address, asynchronous=True) as c,
    ):
        old = c.map(inc, range(20))
        waiting = c.submit(inc, 1, workers=["tcp://127.0.0.9:9"], key="waiting")
        await c.gather(old)
        await until(lambda: "waiting" in s.tasks)
        install(s)
        new = [c.submit(sum, old), *[c.submit(inc, each) for each in old]]
        again = c.map(inc, range(30))
        assert await new[0] == 210
        assert await c.gather(again) == [*range(1, 31)]
        await c.submit(sum, [old[0], new[1]])
        s.validate_state()
        assert type(s.tasks[new[0].key]) is LeanTaskState
        assert type(s.tasks[old[0].key]) is not LeanTaskState
        del old, new, again, waiting
        await until(lambda: not s.tasks)
