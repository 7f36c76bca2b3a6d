from __future__ import annotations

import gzip
import json
import logging
from collections import Counter

import dask.config
import pytest
from distributed import Scheduler, wait
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask.records.loggers import OWN, SAMPLES
from leandask.records.schema import SAMPLE
from leandask.serving import sampler
from leandask.serving.sampler import Sampler
from tests.helpers.handlers import Collector
from tests.helpers.processes import records_of
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until

#: Samples of a day.
DAY = 8640


def logging_to(path, **settings):
    """Have schedulers write an event log."""
    return dask.config.set({"leandask.event-log.path": str(path), **settings})


@pytest.fixture
def shown():
    """The LogRecords of handlers on the root logger and on that of leandask."""
    handler = Collector()
    for logger in (logging.root, OWN):
        logger.addHandler(handler)
    yield handler.records
    for logger in (logging.root, OWN):
        logger.removeHandler(handler)


def samples_in(log):
    return [each for each in records_of(log) if each["event_name"] == SAMPLE]


def names_of(records):
    return {getattr(record, "event_name", None) for record in records}


@gen_test()
async def test_samples_come_in_their_interval_and_reach_the_event_log_only(
    tmp_path, shown, collected
):
    log = tmp_path / "log"
    settings = {
        "leandask.stream.sample-interval": "10 ms",
        "leandask.stream.propagate": True,
        "leandask.memory.limit": "512 GiB",
    }
    with logging_to(log, **settings):
        async with lean_cluster() as (s, c):
            await c.submit(inc, 1)
            n = s.stream.queue.emitted
            await until(lambda: s.stream.queue.emitted > n + 2)
            rss = s.monitor.get_process_memory()
    first, *_ = samples = samples_in(log)
    sample = next(each for each in reversed(samples) if each["clients"])
    assert SAMPLE not in names_of(collected) | names_of(shown)
    assert "dask.scheduler.stop" in names_of(collected) & names_of(shown)
    assert (sample["severity"], sample["interval"]) == ("INFO", 0.01)
    assert sample["limit"] == 512 * 2**30
    assert sample["rss"] == pytest.approx(rss, rel=0.2)
    assert (sample["workers"], sample["clients"]) == (1, 1)
    assert sample["cpu_seconds"] >= first["cpu_seconds"] > 0
    assert sample["dropped_total"] == 0
    assert "of 512.00 GiB" in sample["message"]
    assert records_of(log)[0]["limit"] == 512 * 2**30
    assert records_of(log)[0]["limit_source"] == "leandask.memory.limit"


@gen_test()
async def test_a_scheduler_that_runs_already_is_sampled_too(tmp_path):
    async with Scheduler(**LOCAL) as s:
        often = {"leandask.stream.sample-interval": "10 ms"}
        with logging_to(tmp_path / "log", **often):
            install(s)
        n = s.stream.queue.emitted
        await until(lambda: s.stream.queue.emitted > n + 1)
        await s.stream.acatch_up(10)
        s.extensions["leandask"].event_log.flush()
        assert len(samples_in(tmp_path / "log")) > 1


@gen_test()
async def test_none_are_taken_without_an_event_log_or_an_interval(tmp_path):
    async with lean() as s:
        assert "leandask-samples" not in s.periodic_callbacks
    with logging_to(tmp_path / "log", **{"leandask.stream.sample-interval": 0}):
        async with lean() as s:
            assert "leandask-samples" not in s.periodic_callbacks


@gen_test()
async def test_a_new_logging_configuration_does_not_show_them(tmp_path, shown):
    with logging_to(tmp_path / "log"):
        async with lean() as s:
            # As dictConfig does to loggers below one that it names.
            SAMPLES.handlers, SAMPLES.propagate = [], True
            s.extensions["leandask"].event_log.reattach()
            Sampler(s, 10.0).sample()
    assert len(samples_in(tmp_path / "log")) == 1
    assert SAMPLE not in names_of(shown)


@gen_test()
async def test_tasks_are_counted_in_each_state(monkeypatch):
    async with lean_cluster() as (s, c):
        done = c.map(inc, range(5))
        erred = c.map(inc, ["x", "y"])
        await wait(done + erred)
        never = c.submit(inc, 1, key="never", workers=["tcp://127.0.0.1:1"])
        after = c.submit(inc, never, key="after")
        await until(lambda: "after" in s.tasks)
        states = Counter(ts.state for ts in s.tasks.values())
        counts = sampler._count_states(s)
        assert states == Counter({state: n for state, n in counts.items() if n})
        assert counts["memory"] == 5 and counts["no-worker"] == 1
        monkeypatch.setattr(sampler, "MOST_PREFIXES", 2)
        assert {*sampler._count_states(s).values()} == {None}
        del after


@gen_test()
async def test_the_samples_of_an_idle_day_take_little_when_gzipped(tmp_path):
    with logging_to(tmp_path / "log"):
        async with lean() as s:
            for _ in range(DAY // 10):
                Sampler(s, 10.0).sample()
    lines = [json.dumps(each).encode() + b"\n" for each in samples_in(tmp_path / "log")]
    assert len(lines) == DAY // 10
    assert 10 * len(gzip.compress(b"".join(lines))) < 500_000


@gen_test()
async def test_a_sample_that_fails_is_counted(monkeypatch):
    async with lean() as s:
        monkeypatch.setattr(s.monitor, "get_process_memory", lambda: 1 / 0)
        Sampler(s, 10.0).sample()
        assert s.stream.stats()["errors"] == 1
