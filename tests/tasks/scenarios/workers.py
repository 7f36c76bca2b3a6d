"""Workers that come, go, steal and copy."""

from __future__ import annotations

import asyncio
import operator
from functools import partial
from itertools import pairwise

from distributed import Event, KilledWorker, wait

from tests.helpers.schedulers import until
from tests.tasks.scenarios.cluster import (
    heavy,
    inc,
    scenario,
    slow_inc,
    started,
    wait_for_event,
)


@scenario
async def worker_leaves_and_dies(c):
    futures = c.a.map(slow_inc, range(60), pure=False)
    total = c.a.submit(sum, futures)
    await until(c.processing)
    await c.workers[0].close()
    await c.add_worker()
    address = c.workers[1].address
    await until(lambda: c.scheduler.workers[address].has_what)
    await c.scheduler.remove_worker(address, stimulus_id="dead", close=True)
    assert await total == sum(range(1, 61))


@scenario
async def task_that_kills_workers(c):
    c.scheduler.allowed_failures = 0
    future = c.a.submit(wait_for_event, 1, "never", key="killer")
    child = c.a.submit(inc, future)
    await started("never").wait()
    address = c.scheduler.tasks["killer"].processing_on.address
    await c.scheduler.remove_worker(address, stimulus_id="dead", close=False)
    assert isinstance(await child.exception(), KilledWorker)
    await Event("never").set()


@scenario
async def work_stealing(c):
    first = c.workers[0].address
    holders = set()
    for _ in range(10):  # a busy machine may look for thefts too late
        futures = c.a.map(
            partial(slow_inc, delay=0.05),  # tasks are stolen every 0.1 s
            range(40),
            workers=[first],
            allow_other_workers=True,
            pure=False,
        )
        assert await c.a.gather(futures) == [*range(1, 41)]
        holders |= {address for f in futures for address in c.holders(f)}
        if len(holders) > 1:
            break
    assert len(holders) > 1


@scenario
async def no_workers(c):
    for worker in c.workers:
        await worker.close()
    futures = c.a.map(inc, range(30))
    sums = [c.a.submit(operator.add, *pair) for pair in pairwise(futures)]
    await until(lambda: len(c.scheduler.tasks) == 59)
    await c.add_worker()
    assert await c.a.gather(sums) == [2 * i + 3 for i in range(29)]


@scenario
async def scatter_replicate_rebalance(c):
    data = await c.a.scatter([*range(8)], hash=False)
    await c.a.replicate(data, n=2)
    assert all(len(c.scheduler.tasks[f.key].who_has) == 2 for f in data)
    assert await c.a.gather(c.a.map(inc, data)) == [*range(1, 9)]
    c.scheduler.extensions["amm"].run_once()
    await until(lambda: not c.scheduler.replicated_tasks)
    await c.a.rebalance()
    everywhere = await c.a.scatter(1, broadcast=True)
    assert len(c.scheduler.tasks[everywhere.key].who_has) == len(c.workers)


@scenario
async def worker_retires(c):
    data = c.a.map(inc, range(20))
    await wait(data)
    await c.a.retire_workers([c.workers[0].address])
    assert await c.a.gather(data) == [*range(1, 21)]


@heavy
async def restart(c):
    futures = c.a.map(wait_for_event, range(30), name="restart")
    await started("restart").wait()
    await c.a.restart(wait_for_workers=False)
    assert not c.scheduler.tasks
    await until(lambda: all(each.cancelled() for each in futures))
    await Event("restart", client=c.a).set()
    await c.add_worker()
    assert await c.a.gather(c.a.map(inc, range(30))) == [*range(1, 31)]


@scenario
async def adaptive_and_idle(c):
    assert c.scheduler.is_idle
    futures = c.a.map(wait_for_event, range(20), name="adaptive")
    await until(c.processing)
    assert not c.scheduler.is_idle
    assert c.scheduler.adaptive_target() >= 1
    assert c.scheduler.workers_to_close() == []
    await Event("adaptive").set()
    await asyncio.gather(*futures)
