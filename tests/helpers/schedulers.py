"""Schedulers for tests: on this machine, at ports that the system picks."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, suppress
from functools import partial

import distributed.dashboard
import prometheus_client
import pytest
from distributed import Client, Security, Worker
from distributed.http.scheduler.prometheus import core
from distributed.utils_test import async_poll_for
from prometheus_client.parser import text_string_to_metric_families
from tornado.httpclient import AsyncHTTPClient

from leandask import LeanScheduler
from leandask.serving.collectors import make_collector

LOCAL = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}

lean = partial(LeanScheduler, **LOCAL)

#: Options of a scheduler with the dashboard that the configuration asks for.
WITH_DASHBOARD = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}

lean_with_dashboard = partial(LeanScheduler, **WITH_DASHBOARD)

#: Wait until a condition holds.
until = partial(async_poll_for, timeout=30, period=0.01)


async def run_housekeeping(scheduler):
    """Run a round of housekeeping now."""
    await scheduler.extensions["leandask"].housekeeping.run()


@asynccontextmanager
async def lean_cluster(**kwargs):
    """Yield a lean scheduler with a worker, and a client."""
    async with lean(**kwargs) as s, Worker(s.address, dashboard=False):
        async with Client(s.address, asynchronous=True) as c:
            yield s, c


@pytest.fixture
def dashboard_tls(tmp_path):
    """Settings for HTTP servers with TLS."""
    security = Security.temporary()
    files = {
        "key": security.tls_scheduler_key,
        "cert": security.tls_scheduler_cert,
        "ca-file": security.tls_ca_file,
    }
    tls = {}
    for name, pem in files.items():
        (tmp_path / name).write_text(pem)
        tls[f"distributed.scheduler.dashboard.tls.{name}"] = str(tmp_path / name)
    return tls


@pytest.fixture
def bokeh_not_in_use(monkeypatch):
    """As in a process in which no scheduler has had a dashboard."""
    forget_pages(monkeypatch)


def forget_pages(monkeypatch):
    """Make the next scheduler import the module of the pages again."""
    monkeypatch.delitem(sys.modules, "distributed.dashboard.scheduler", raising=False)
    monkeypatch.delattr(distributed.dashboard, "scheduler", raising=False)


#: Start of the names of our metrics.
OUR_METRICS = "dask_leandask_"


@pytest.fixture
def fresh_collectors():
    """As in a process without a request for metrics, before and after."""
    before = core.COLLECTORS[:]
    upstream = [getattr(each, "args", [each])[0] for each in before]
    core.COLLECTORS[:] = [each for each in upstream if each is not make_collector]
    forget_collectors()
    yield
    core.COLLECTORS[:] = before
    forget_collectors()


def forget_collectors():
    """Take upstream's collectors out of the registry."""
    for collector in core.PrometheusHandler._collectors or ():
        with suppress(KeyError):  # it raised when it was registered
            prometheus_client.REGISTRY.unregister(collector)
    core.PrometheusHandler._collectors = None


async def scrape(scheduler):
    """Return the metrics of a scheduler as text."""
    return (await fetch(scheduler, "/metrics")).body.decode()


async def series_of(scheduler):
    """Return the value of each of our metrics, by name and label."""
    return {
        (sample.name.removeprefix(OUR_METRICS), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(await scrape(scheduler))
        for sample in family.samples
        if sample.name.startswith(OUR_METRICS)
    }


def url_of(scheduler, path, scheme="http"):
    """Return the URL of a path on a scheduler's HTTP server."""
    return f"{scheme}://127.0.0.1:{scheduler.http_server.port}{path}"


def fetch(scheduler, path, scheme="http", **kwargs):
    """Fetch a path from a scheduler's HTTP server."""
    # The first page of a dashboard imports Bokeh, which takes long on a busy machine.
    client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60})
    return client.fetch(url_of(scheduler, path, scheme), **kwargs)


def n_dashboards(scheduler):
    """Return the number of Bokeh applications on a scheduler's HTTP server."""
    applications = scheduler.http_application.applications
    return len([each for each in applications if hasattr(each, "app_paths")])
