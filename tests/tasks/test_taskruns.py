"""The records of the runs of tasks, of real workers."""

from __future__ import annotations

import asyncio
import logging

import dask
import pytest
from distributed import Client, Event, Worker
from distributed.utils_test import gen_test, inc

from leandask.records.loggers import TASKS
from leandask.records.schema import TASK_ERRED, TASK_FINISHED
from leandask.records.taskruns import TRACEBACK_LENGTH
from leandask.records.times import seconds_of
from tests.helpers.lostworkers import FOR_EVER, lose_worker_of, processing
from tests.helpers.schedulers import lean, lean_cluster, until

ON = {"leandask.stream.tasks": True}


class Kept(logging.Handler):
    """Keeps the records of runs."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(vars(record))


@pytest.fixture
def kept():
    handler = Kept()
    TASKS.addHandler(handler)
    yield handler.records
    TASKS.removeHandler(handler)


def fail(text="no"):
    raise ValueError(text)


def of(kept, event_name):
    return [record for record in kept if record["event_name"] == event_name]


@gen_test()
async def test_each_run_is_recorded_as_the_task_stream_has_it(kept):
    with dask.config.set(ON):
        async with lean() as s, Worker(s.address, name="a") as a:
            async with (
                Worker(s.address, name="b"),
                Client(s.address, asynchronous=True) as c,
            ):
                await c.get_task_stream()  # starts it
                xs = c.map(inc, range(50))
                total = c.submit(sum, xs)
                assert await total == sum(range(1, 51))
                await c.submit(fail).exception()
                stream = await c.get_task_stream()
    theirs = {}
    for task in stream:
        start, stop = next(
            (each["start"], each["stop"])
            for each in task["startstops"]
            if each["action"] == "compute"
        )
        transfer = sum(
            each["stop"] - each["start"]
            for each in task["startstops"]
            if each["action"] == "transfer"
        )
        theirs[task["key"]] = (
            task["worker"],
            task["thread"],
            task.get("nbytes"),
            pytest.approx(start, abs=1e-6),
            pytest.approx(stop, abs=1.5e-6),
            pytest.approx(transfer, abs=1e-6),
        )
    ours = {
        record["task_key"]: (
            record["worker"],
            record["worker_thread"],
            record.get("nbytes"),
            seconds_of(record["run_start"]),
            seconds_of(record["run_start"]) + record["compute_seconds"],
            record.get("transfer_seconds", 0.0),
        )
        for record in kept
    }
    assert len(kept) == len(stream) == 52
    assert ours == theirs
    assert {record["worker_name"] for record in kept} == {"a", "b"}
    assert a.address in {record["worker"] for record in kept}
    prefixes = {record["task_prefix"]: record["task_group"] for record in kept}
    assert prefixes == {"inc": "inc", "sum": "sum", "fail": "fail"}


@gen_test()
async def test_one_that_errs_has_its_exception_and_those_after_it_blame_it(kept):
    with dask.config.set(ON):
        async with lean_cluster() as (_, c):
            erred = c.submit(fail, "not this", key="erred-1", retries=1)
            assert await c.submit(inc, erred, key="after-1").exception()
    again, last, after = of(kept, TASK_ERRED)
    assert again["levelname"] == after["levelname"] == "DEBUG"
    assert last["levelname"] == "WARNING"
    assert (again["retries_left"], last["retries_left"]) == (0, 0)
    assert "blamed_key" not in again
    assert again["run_id"] != last["run_id"]
    for record in (again, last):
        assert record["task_key"] == "erred-1"
        assert record["exception_type"] == "ValueError"
        assert record["exception_text"] == "ValueError('not this')"
        assert "raise ValueError(text)" in record["exception"]
        assert record["compute_seconds"] > 0
    assert last["message"] == "erred-1: ValueError('not this')"
    assert last["blamed_key"] == after["blamed_key"] == "erred-1"
    assert after["task_key"] == "after-1"
    assert not {"worker", "run_start", "exception_text"} & {*after}
    assert after["message"] == "after-1: as erred-1 erred"


@gen_test()
async def test_one_that_took_its_workers_with_it_names_them(kept):
    with dask.config.set(ON):
        async with (
            lean(allowed_failures=1) as s,
            Worker(s.address),
            Worker(s.address),
            Client(s.address, asynchronous=True) as c,
        ):
            future = c.submit(asyncio.sleep, FOR_EVER, key="killer-1")
            workers = [await lose_worker_of(s, "killer-1") for _ in range(2)]
            assert await future.exception()
    (record,) = of(kept, TASK_ERRED)
    assert record["workers_lost"] == workers
    assert record["worker"] == workers[-1]
    assert record["exception_type"] == "KilledWorker"


@gen_test()
async def test_a_long_traceback_loses_its_middle(kept):
    def recurse(depth):
        if depth:
            recurse_again(depth - 1)
        raise RuntimeError("é" * 100_000)

    def recurse_again(depth):  # a traceback shows one line that repeats once
        recurse(depth)

    with dask.config.set(ON):
        async with lean_cluster() as (_, c):
            assert await c.submit(recurse, 200).exception()
    (record,) = of(kept, TASK_ERRED)
    text = record["exception"]
    assert len(text) <= TRACEBACK_LENGTH + 1
    assert "in recurse" in text.partition("…")[0]
    assert text.endswith("in recurse\n")
    assert len(record["exception_text"]) < 2000


@gen_test()
async def test_a_run_that_the_scheduler_does_not_want_any_more_is_not_recorded(kept):
    async def wait_for_event():
        await Event("started").set()
        await Event("go").wait()

    with dask.config.set(ON):
        async with lean_cluster() as (s, c):
            future = c.submit(wait_for_event, key="unwanted")
            await Event("started").wait()
            del future
            await until(lambda: not s.tasks)
            await Event("go").set()
            assert await c.submit(inc, 1) == 2
    assert [r["task_prefix"] for r in of(kept, TASK_FINISHED)] == ["inc"]


@pytest.mark.parametrize("retries", [0, 1])
@gen_test()
async def test_an_error_that_is_no_text_is_counted_and_goes_on(retries, kept):
    with dask.config.set(ON):
        async with lean_cluster() as (s, c):
            future = c.submit(asyncio.sleep, FOR_EVER, key="odd", retries=retries)
            await processing(s, "odd")
            odd = {"key": "odd", "exception_text": 1, "traceback_text": b"x"}
            odd |= {"worker": next(iter(s.workers)), "run_id": s.tasks["odd"].run_id}
            odd |= {"exception": None, "traceback": None, "stimulus_id": "odd"}
            s.stream_handlers["task-erred"](**odd)
            assert s.tasks["odd"].state == ("processing" if retries else "erred")
            assert s.extensions["leandask"].stream.stats()["errors"] == 1
            await future.cancel()
    assert not kept


@gen_test()
async def test_a_trace_of_another_system_goes_on(kept):
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with dask.config.set(ON):
        async with lean_cluster() as (_, c):
            with dask.annotate(traceparent=f"00-{trace}-{span}-01"):
                traced = c.submit(inc, 1)
            with dask.annotate(traceparent="00-nonsense-01"):
                await c.gather([traced, c.submit(inc, 2)])
    found = [(r.get("trace_id"), r.get("span_id")) for r in of(kept, TASK_FINISHED)]
    assert sorted(found, key=str) == [(trace, span), (None, None)]


@pytest.mark.parametrize("tasks", [False, "auto"])
@gen_test()
async def test_without_an_event_log_they_are_off_and_cost_nothing(tasks, kept):
    with dask.config.set({"leandask.stream.tasks": tasks}):
        async with lean_cluster() as (s, c):
            assert await c.submit(inc, 1) == 2
            assert s.stream_handlers["task-finished"] == s.handle_task_finished
            assert s.stream_handlers["task-erred"] == s.handle_task_erred
    assert not kept


@gen_test()
async def test_the_level_of_their_logger_leaves_the_erred_ones(kept):
    with dask.config.set(ON):
        async with lean_cluster() as (_, c):
            TASKS.setLevel(logging.WARNING)
            assert await c.submit(inc, 1) == 2
            assert await c.submit(fail).exception()
    TASKS.setLevel(logging.NOTSET)
    assert [record["event_name"] for record in kept] == [TASK_ERRED]
