"""Schedulers for tests: on this machine, at ports that the system picks."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from functools import partial

import distributed.dashboard
import pytest
from distributed import Client, Security, Worker
from distributed.utils_test import async_poll_for
from tornado.httpclient import AsyncHTTPClient

from leandask import LeanScheduler

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
    monkeypatch.delitem(sys.modules, "distributed.dashboard.scheduler", raising=False)
    monkeypatch.delattr(distributed.dashboard, "scheduler", raising=False)


def url_of(scheduler, path, scheme="http"):
    """Return the URL of a path on a scheduler's HTTP server."""
    return f"{scheme}://127.0.0.1:{scheduler.http_server.port}{path}"


def fetch(scheduler, path, scheme="http", **kwargs):
    """Fetch a path from a scheduler's HTTP server."""
    client = AsyncHTTPClient(force_instance=True)
    return client.fetch(url_of(scheduler, path, scheme), **kwargs)


def n_dashboards(scheduler):
    """Return the number of Bokeh applications on a scheduler's HTTP server."""
    applications = scheduler.http_application.applications
    return len([each for each in applications if hasattr(each, "app_paths")])
