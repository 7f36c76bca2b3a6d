from __future__ import annotations

import logging

import pytest
from distributed import Scheduler
from distributed.http.scheduler.prometheus import core
from distributed.utils_test import gen_test
from tornado.httpclient import HTTPClientError

from leandask import install
from leandask.serving.metrics import LeanCollector
from tests.helpers.schedulers import LOCAL, OUR_METRICS, lean, scrape

pytestmark = pytest.mark.usefixtures("fresh_collectors")

#: One metric of each collector.
METRICS = {
    core.SchedulerMetricCollector: "dask_scheduler_clients",
    core.SemaphoreMetricCollector: "dask_semaphore_max_leases",
    core.WorkStealingMetricCollector: "dask_stealing_request_count_total",
    LeanCollector: OUR_METRICS,
}


def raising(*args):
    raise ZeroDivisionError
    yield


@pytest.mark.parametrize("collector", METRICS)
@pytest.mark.parametrize("first", [True, False])
@gen_test()
async def test_a_collector_that_raises_costs_its_own_metrics_of_one_scrape(
    collector, first, monkeypatch, caplog
):
    others = [name for each, name in METRICS.items() if each is not collector]
    async with lean() as s:
        if not first:
            await scrape(s)
        with monkeypatch.context() as patch, caplog.at_level(logging.INFO, "leandask"):
            patch.setattr(collector, "collect", raising)
            for _ in range(2):
                text = await scrape(s)
                assert [name in text for name in others] == [True] * 3
                assert METRICS[collector] not in text
        text = await scrape(s)
        assert [name in text for name in METRICS.values()] == [True] * 4
    [record] = [r for r in caplog.records if "can't collect" in r.message]
    assert collector.__name__ in record.message
    assert record.exc_info[0] is ZeroDivisionError


@gen_test()
async def test_what_a_collector_yields_before_it_raises_is_kept(monkeypatch):
    async with lean() as s:
        monkeypatch.setattr(s, "adaptive_target", lambda: 1 / 0)
        text = await scrape(s)
        assert "dask_scheduler_clients" in text
        assert "dask_scheduler_tasks" not in text


@gen_test()
async def test_a_name_that_is_no_text_costs_the_metrics_of_its_collector():
    # Such as of a client's Semaphore(name=5).
    async with lean() as s:
        s.extensions["semaphores"].max_leases[5] = 1
        text = await scrape(s)
        assert "dask_semaphore" not in text
        assert "dask_scheduler_tasks" in text
        del s.extensions["semaphores"].max_leases[5]
        assert "dask_semaphore" in await scrape(s)


@gen_test()
async def test_install_mends_metrics_that_a_first_scrape_has_broken(monkeypatch):
    async with Scheduler(**LOCAL) as s:
        with monkeypatch.context() as patch:
            patch.setattr(core.SemaphoreMetricCollector, "collect", raising)
            with pytest.raises(HTTPClientError, match="closed"):
                await scrape(s)
        assert "dask_stealing" not in await scrape(s)
        install(s)
        text = await scrape(s)
        assert [name in text for name in METRICS.values()] == [True] * 4
        assert text.count("# TYPE dask_scheduler_clients ") == 1
