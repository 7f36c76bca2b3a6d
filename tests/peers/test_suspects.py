from __future__ import annotations

import asyncio
import json

import dask
from distributed import Client, Worker
from distributed.utils_test import gen_test

from leandask.peers import suspects
from leandask.records.schema import SUSPECTS
from tests.helpers.lostworkers import FOR_EVER, lose, lose_worker_of, processing
from tests.helpers.schedulers import lean, until


@gen_test()
async def test_a_task_is_suspected_and_then_given_up_with_the_workers_it_took(
    collected,
):
    async with lean(allowed_failures=1) as s, Worker(s.address), Worker(s.address):
        async with Client(s.address, asynchronous=True) as c:
            future = c.submit(asyncio.sleep, FOR_EVER, key="killer-1")
            workers = [await lose_worker_of(s, "killer-1") for _ in range(2)]
            assert await future.exception()
            events = [msg for _, msg in s.get_events(SUSPECTS)]
    common = {"key": "killer-1", "prefix": "killer", "n-tasks": 1}
    assert events == [
        {
            "action": "task-suspected",
            "suspicious": 1,
            "worker": workers[0],
            "workers-lost": workers[:1],
            **common,
        },
        {
            "action": "task-given-up",
            "suspicious": 2,
            "worker": workers[1],
            "workers-lost": workers,
            **common,
        },
    ]
    suspected, given_up = [r for r in collected if r.__dict__.get("topic") == SUSPECTS]
    assert suspected.levelname == given_up.levelname == "WARNING"
    assert suspected.name == "leandask.events"  # which the console shows
    assert "task-given-up key=killer-1 prefix=killer" in given_up.getMessage()
    assert (given_up.action, given_up.worker) == ("task-given-up", workers[1])
    assert json.loads(given_up.payload)["workers-lost"] == workers


@gen_test()
async def test_no_task_is_suspected_by_a_warning_as_its_scheduler_stops(collected):
    s = await lean()
    async with Worker(s.address), Client(s.address, asynchronous=True) as c:
        future = c.submit(asyncio.sleep, FOR_EVER, key="x")
        await processing(s, "x")
        await s.close()
        del future
    [record] = [r for r in collected if r.__dict__.get("topic") == SUSPECTS]
    assert (record.action, record.levelname) == ("task-suspected", "INFO")


@gen_test()
async def test_of_many_tasks_some_are_named_and_all_are_counted():
    with dask.config.set({"distributed.scheduler.worker-saturation": float("inf")}):
        s = lean(allowed_failures=1)
    async with s, Worker(s.address, nthreads=2, heartbeat_interval="20 ms") as w:
        async with Client(s.address, asynchronous=True) as c:
            futures = c.map(asyncio.sleep, range(FOR_EVER, FOR_EVER + 500))
            ws = s.workers[w.address]
            await until(lambda: len(ws.processing) == 500 and len(ws.executing) == 2)
            running = {ts.key for ts in ws.executing}
            waiting = [ts for ts in ws.processing if ts.key not in running]
            for ts in waiting[-20:]:  # an earlier worker was lost with them
                ts.suspicious = 1
            earlier = {ts.key for ts in waiting[-20:]}
            await lose(s, w.address)
            *given_up, suspected = [msg for _, msg in s.get_events(SUSPECTS)]
            del futures
    assert suspected["n-tasks"] == 480
    named = [suspected["key"], *suspected["others"]]
    assert len(named) == 10 and set(named[:2]) == running  # those that ran come first
    assert len(given_up) == 10
    assert {msg["n-tasks"] for msg in given_up} == {20}
    assert {msg["key"] for msg in given_up} <= earlier


@gen_test()
async def test_a_worker_that_is_expected_to_leave_makes_nobody_suspect():
    async with lean() as s, Worker(s.address) as w:
        async with Client(s.address, asynchronous=True) as c:
            future = c.submit(asyncio.sleep, FOR_EVER, key="x")
            await processing(s, "x")
            await lose(s, w.address, expected=True)
            assert s.get_events(SUSPECTS) == ()
            del future


@gen_test()
async def test_what_is_known_of_tasks_is_bounded(monkeypatch):
    monkeypatch.setattr(suspects, "TASKS", 3)
    monkeypatch.setattr(suspects, "WORKERS", 2)
    async with lean() as s:
        known = suspects.Suspects(s, s.stream)
        for i in range(1, 10):
            known._note("often", f"tcp://w:{i}", i)
            known._note(f"once-{i}", f"tcp://w:{i}", 1)
        assert repr(known) == "<Suspects: 3/3>"
        assert known._lost["often"] == ["tcp://w:8", "tcp://w:9"]
        known._note("often", "tcp://w:10", 1)  # another task of that name
        assert known._lost["often"] == ["tcp://w:10"]


@gen_test()
async def test_an_error_of_ours_does_not_keep_a_worker_from_leaving(monkeypatch):
    monkeypatch.setattr(suspects, "nlargest", None)
    async with lean() as s, Worker(s.address) as w:
        async with Client(s.address, asynchronous=True) as c:
            future = c.submit(asyncio.sleep, FOR_EVER, key="x")
            await processing(s, "x")
            assert await lose(s, w.address) == "OK"
            assert s.stream.stats()["errors"] == 1
            del future
