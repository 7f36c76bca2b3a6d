from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import dask
import pytest
from distributed import Client, Semaphore
from distributed.utils_test import gen_test, inc

import leandask
from leandask.guard import guard as guards
from leandask.histories.bounds import Bound
from leandask.housekeeping import giveback
from leandask.records.schema import MEMORY_LIMIT_SET, MEMORY_PRESSURE
from tests.helpers.guards import guard_of
from tests.helpers.processes import whole_records
from tests.helpers.schedulers import lean, lean_cluster, until


def records(log, event_name):
    found = whole_records(log) if log.exists() else []
    return [record for record in found if record["event_name"] == event_name]


@asynccontextmanager
async def logged(log, **settings):
    """A scheduler that writes an event log."""
    settings["leandask.event-log.path"] = str(log)
    with dask.config.set(settings):
        async with lean() as s:
            yield s


@gen_test()
async def test_pressure_is_recorded_with_what_holds_the_memory(tmp_path):
    log = tmp_path / "log.jsonl"
    async with logged(log) as s, Client(s.address, asynchronous=True) as c:
        futures = c.map(inc, range(100))
        await until(lambda: len(s.tasks) == 100)
        for number in range(100):
            s.log_event("topic", {"text": f"{number}" * 100})
        guard = guard_of(s)
        guard.set({"limit": "1 MiB"})
        await until(lambda: records(log, MEMORY_PRESSURE))
        [record] = records(log, MEMORY_PRESSURE)
        assert record["severity"] == "WARNING"
        assert record["level"] == "refuse"
        assert record["rss"] > record["limit"] == 2**20
        assert record["limit_source"] == "leandask.memory.limit"
        assert any(h.startswith("100 tasks of inc, about ") for h in record["holders"])
        assert any(" entries of events, about " in h for h in record["holders"])
        assert not any("event-bytes" in h for h in record["holders"])
        assert [text.split(": ")[1] for text in record["task_states"]] == ["100"]
        assert f"{c.id}: 100" in record["wanted"]
        assert record["message"].startswith("memory pressure: RSS is ")
        assert guard.report()["level"] == "refuse"
        await until(lambda: s.extensions["leandask"].give_back.count == 1)
        del futures


@gen_test()
async def test_a_level_is_warned_of_again_later_or_when_it_has_risen(monkeypatch):
    async with lean() as s:
        guard = guard_of(s)
        guard.set({"limit": "1 MiB"})
        now = [1.0]
        clock = SimpleNamespace(monotonic=lambda: now[0])
        monkeypatch.setattr(guards, "time", clock)
        assert guard._is_due("warn", 100)
        assert not guard._is_due("warn", 109)
        assert guard._is_due("refuse", 109)
        assert guard._is_due("warn", 110)
        assert not guard._is_due("warn", 110)
        now[0] += guards.WARN_SECONDS
        assert guard._is_due("warn", 90)


@gen_test()
async def test_histories_are_cut_to_half_under_pressure_and_keep_their_bounds():
    async with lean(retention={"events": 40}) as s:
        for number in range(100):
            s.log_event("topic", number)
        guard_of(s).set({"limit": "1 MiB"})
        await until(lambda: s.extensions["leandask"].give_back.count)
        assert len(s.get_events("topic")) == 20
        guard_of(s).set({"limit": None})
        for number in range(100):
            s.log_event("topic", number)
        assert len(s.get_events("topic")) == 40


@gen_test()
async def test_an_idle_semaphore_can_still_be_acquired_after_pressure():
    async with (
        lean(retention={"locks": 2000, "events": 40}) as s,
        Client(s.address, asynchronous=True),
    ):
        idle = await Semaphore(name="idle")
        assert await idle.acquire()
        await idle.release()
        for i in range(1500):
            s.extensions["semaphores"].create(f"other-{i}", 1, 30)
        for number in range(100):
            s.log_event("topic", number)
        await s.extensions["leandask"].give_back.relieve()
        assert len(s.get_events("topic")) == 20
        assert await idle.acquire()
        await idle.release()


@gen_test()
async def test_memory_that_is_being_relieved_is_not_given_back_twice():
    async with lean() as s:
        give_back = s.extensions["leandask"].give_back
        _, outcome = await asyncio.gather(give_back.relieve(), give_back.ask())
        assert not outcome["done"]
        assert give_back.count == 1


@gen_test()
async def test_bounds_stay_if_histories_can_not_be_cut(monkeypatch):
    def fail(scheduler, bounds):
        assert scheduler.retention == bounds
        failed.append(bounds)
        raise OSError("no memory at all")

    failed = []
    async with lean(retention={"events": 40}) as s:
        bounds = s.retention
        monkeypatch.setattr(giveback.histories, "BOUNDS", [Bound("events", fail)])
        with pytest.raises(OSError, match="no memory at all"):
            await s.extensions["leandask"].give_back.relieve()
        assert failed == [bounds.halved(), bounds]
        assert s.retention == bounds


@gen_test()
async def test_the_event_loop_runs_between_histories_that_are_cut(monkeypatch):
    def cut(scheduler, bounds):
        steps.append(bounds.events)
        asyncio.get_running_loop().call_soon(steps.append, "others")

    steps = []
    async with lean(retention={"events": 40}) as s:
        entries = [Bound("events", cut), Bound("topics", cut)]
        monkeypatch.setattr(giveback.histories, "BOUNDS", entries)
        await s.extensions["leandask"].give_back.relieve()
    others = ["others", "others"]
    assert steps == [20, 40, *others, 20, 40, *others]


@gen_test()
async def test_without_a_limit_nothing_is_refused_and_nothing_warned_of(tmp_path):
    log = tmp_path / "log.jsonl"
    async with logged(log, **{"leandask.memory.limit": None}) as s:
        guard = guard_of(s)
        assert guard.room == float("inf")
        guard.look()
        assert guard.report() == {
            "warn": 0.8,
            "refuse": 0.9,
            "level": "",
            "refused": 0,
        }
    assert not records(log, MEMORY_PRESSURE)


@gen_test()
async def test_a_client_sets_the_limit_while_the_scheduler_runs(tmp_path):
    log = tmp_path / "log.jsonl"
    async with logged(log) as s, Client(s.address, asynchronous=True) as c:
        done = await leandask.set_memory(c, limit="64 GiB", refuse=0.95)
        assert (done["limit"], done["refuse"], done["warn"]) == (64 * 2**30, 0.95, 0.8)
        assert guard_of(s).limit.nbytes == 64 * 2**30
        await until(lambda: records(log, MEMORY_LIMIT_SET))
        for settings, error in (
            ({"limit": "much"}, "leandask.memory.limit must be auto"),
            ({"warn": 2}, "leandask.memory.warn must be a number from 0 to 1"),
            ({"refuse": 0.5, "most": 1}, "limit, warn and refuse; got 'most'"),
        ):
            with pytest.raises(ValueError, match=error):
                await leandask.set_memory(c, **settings)
        assert guard_of(s).report()["refuse"] == 0.95


@gen_test()
async def test_graphs_are_taken_while_the_memory_can_not_be_measured():
    def fail():
        raise OSError("too many open files")

    async with lean_cluster() as (s, c):
        guard_of(s)._get_rss = fail
        guard_of(s).look()
        assert await c.submit(len, list(map(str, range(200_000)))) == 200_000


@gen_test()
async def test_an_error_of_the_guard_stays_in_it(caplog):
    async with lean() as s:
        guard = guard_of(s)

        async def fail():
            raise OSError("no memory at all")

        guard._relieve = fail
        guard.set({"limit": "1 MiB"})
        await until(lambda: "The guard of the memory failed" in caplog.text)
        guard.set({"limit": None})
