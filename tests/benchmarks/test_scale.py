"""A real scheduler takes the simulated peers of benchmarks.scale for real ones."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest
from distributed import Client, Worker, wait
from distributed.utils_test import NO_AMM, async_poll_for, gen_test

from benchmarks.harness.line import Line
from benchmarks.scale.swarm import Peers
from benchmarks.scale.sweeps import QUICK
from benchmarks.scale.tables import tables
from benchmarks.tasks import increment
from leandask import LeanScheduler

N_WORKERS = 20


@pytest.fixture
def errors():
    """LogRecords of the scheduler at ERROR and above."""
    records = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = records.append
    # Not those of real workers and clients, which may log that a peer has left.
    loggers = [logging.getLogger(f"distributed.{n}") for n in ("scheduler", "core")]
    for logger in loggers:
        logger.addHandler(handler)
    yield records
    for logger in loggers:
        logger.removeHandler(handler)


@contextlib.asynccontextmanager
async def scheduled(peers_of=Peers):
    """A validating scheduler, a client, and simulated peers, none of them started."""
    async with LeanScheduler(
        host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0", validate=True
    ) as scheduler:
        peers = peers_of(scheduler.address)
        async with Client(scheduler.address, asynchronous=True) as client:
            try:
                yield scheduler, peers, client
            finally:
                await peers.have_workers(0)
                await peers.have_clients(0)


async def run_1000(scheduler, client):
    """Run 1000 tasks, release them, and return the number of transitions."""
    futures = client.map(increment, range(1000))
    await wait(futures)
    assert {ts.state for ts in scheduler.tasks.values()} == {"memory"}
    scheduler.validate_state()
    del futures
    await async_poll_for(lambda: not scheduler.tasks, 30)
    return scheduler.transition_counter


# A task that is stolen makes more transitions.
@gen_test(timeout=120, config={"distributed.scheduler.work-stealing": False})
async def test_simulated_workers_are_workers_to_the_scheduler(errors):
    async with scheduled() as (scheduler, peers, client):
        await peers.have_workers(N_WORKERS)
        await async_poll_for(lambda: len(scheduler.running) == N_WORKERS, 30)
        simulated = await run_1000(scheduler, client)
        await async_poll_for(lambda: not any(w.data for w in peers.workers), 30)
        # Some of them leave, and nothing is lost.
        await peers.have_workers(2)
        await async_poll_for(lambda: len(scheduler.workers) == 2, 30)
        assert await client.submit(sum, [1]).exception() is None
    async with LeanScheduler(
        host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0"
    ) as scheduler:
        workers = [
            Worker(scheduler.address, nthreads=1, dashboard=False)
            for _ in range(N_WORKERS)
        ]
        await asyncio.gather(*workers)
        async with Client(scheduler.address, asynchronous=True) as client:
            assert await run_1000(scheduler, client) == simulated
        await asyncio.gather(*(worker.close() for worker in workers))
    assert not errors


@gen_test(timeout=60, config=NO_AMM)
async def test_results_move_between_simulated_workers(errors):
    async with scheduled() as (scheduler, peers, client):
        await peers.have_workers(4)
        futures = client.map(increment, range(100))
        total = client.submit(sum, futures)
        await wait(total)
        # One of them has reported that it received the others' results.
        [ws] = scheduler.tasks[total.key].who_has
        assert len(ws.has_what) == 101
        scheduler.validate_state()
    assert not errors


@gen_test(timeout=60)
async def test_as_many_held_tasks_are_finished_as_asked_for(errors):
    async with scheduled() as (scheduler, peers, client):
        await peers.have_workers(4)
        await peers.hold()
        futures = client.map(increment, range(200))
        await async_poll_for(lambda: len(scheduler.tasks) == 200, 30)

        def finished():
            return sum(ts.state == "memory" for ts in scheduler.tasks.values())

        assert finished() == 0
        await peers.finish(50)
        await async_poll_for(lambda: finished() == 50, 30)
        await peers.have_workers(8)  # four with nothing yet
        await peers.finish()
        await wait(futures)
        scheduler.validate_state()
    assert not errors


@gen_test(timeout=60)
async def test_tasks_are_stolen_from_simulated_workers(errors):
    async with scheduled() as (scheduler, peers, client):
        await peers.have_workers(1)
        await peers.hold()
        first = peers.workers[0].address
        futures = client.map(
            increment, range(40), workers=[first], allow_other_workers=True
        )
        await async_poll_for(lambda: len(peers.workers[0].held) == 40, 30)
        await peers.have_workers(2)
        stealing = scheduler.extensions["stealing"]
        await async_poll_for(
            lambda: stealing.balance() or peers.workers[1].held,
            10,
        )
        await peers.finish()
        await wait(futures)
        scheduler.validate_state()
    assert not errors


@gen_test(timeout=60)
async def test_simulated_clients_come_and_go(errors):
    async with scheduled() as (scheduler, peers, _):
        before = set(scheduler.clients)
        await peers.have_clients(5)
        await async_poll_for(lambda: len(scheduler.clients) == len(before) + 5, 30)
        await peers.have_clients(0)
        await async_poll_for(lambda: set(scheduler.clients) == before, 30)
    assert not errors


@gen_test(timeout=60)
async def test_a_message_that_a_peer_does_not_know_is_an_error():
    async with scheduled() as (scheduler, peers, _):
        await peers.have_workers(1)
        [worker] = scheduler.workers
        scheduler.stream_comms[worker].send({"op": "dance"})
        with pytest.raises(KeyError, match="dance"):
            await async_poll_for(lambda: peers.workers[0]._tasks[0].done(), 30)
            await peers.have_workers(0)


def test_a_line_has_a_standard_error():
    line = Line.through([(0, 0), (1, 1), (2, 1), (3, 2)])
    assert line.slope == pytest.approx(0.6)
    assert line.error == pytest.approx(0.1414, abs=1e-3)


def test_tables_of_two_schedulers_have_ratios():
    def clients(per_client):
        return [{"clients": n, "rss": 1e6 + per_client * n} for n in QUICK.clients]

    figures = {
        "machine": {"python": "3"},
        "quick": True,
        "seconds": 60,
        "sweeps": {"clients": {"upstream": clients(4096), "leandask": clients(1024)}},
    }
    lines = list(tables(figures))
    row = "| memory of a connected client, KiB | 4.00 ± 0.00 | 1.00 ± 0.00 | 0.25 |"
    assert row in lines
