"""Faults of handlers: the scheduler goes on, and other handlers get every record."""

from __future__ import annotations

import dask
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc

from leandask.records.loggers import EVENTS
from tests.helpers.handlers import Gate, Raising, Slow
from tests.helpers.processes import records_of
from tests.helpers.schedulers import lean


@gen_test()
async def test_a_handler_that_hangs_does_not_hold_the_scheduler_up():
    gate = Gate()
    EVENTS.addHandler(gate)
    try:
        async with lean() as s, Worker(s.address):
            async with Client(s.address, asynchronous=True) as client:
                s.log_event("mine", 1)
                assert gate.entered.wait(30)
                assert await client.gather(client.map(inc, range(50))) == [
                    *range(1, 51)
                ]
                assert len(s.stream.queue) > 0
                gate.opened.set()
        assert s.stream.queue.n_dropped == 0
    finally:
        gate.opened.set()
        EVENTS.removeHandler(gate)


@gen_test()
async def test_a_slow_and_a_raising_handler_cost_neither_records_nor_time(tmp_path):
    slow, raising = Slow(0.1), Raising(ValueError("broken"))
    # One that raises stands before the event log, and one after it.
    handlers = raising, slow, Raising(OSError("gone"))
    log = tmp_path / "log.jsonl"
    settings = {
        "leandask.event-log.path": str(log),
        "leandask.stream.close-timeout": "60s",
    }
    EVENTS.addHandler(raising)
    try:
        with dask.config.set(settings):
            async with lean() as s, Client(s.address, asynchronous=True) as client:
                for handler in handlers[1:]:
                    EVENTS.addHandler(handler)
                async with Worker(s.address):
                    await client.log_event(["mine"] * 300, {"n": 1})  # 30 s of work
                    assert await client.submit(inc, 1) == 2
                    assert len(slow.records) < 300
                    slow.seconds = 0.0
    finally:
        for handler in handlers:
            EVENTS.removeHandler(handler)
    records = records_of(log)
    stats = s.stream.stats()
    assert [r["seq"] for r in records] == list(range(1, stats["emitted"] + 1))
    # All since it was added: the start and the client may have come before.
    assert len(records) - 3 <= len(slow.records) <= len(records)
    assert stats["errors"] >= 2 * len(slow.records)
    assert s.stream.queue.n_dropped == 0
