"""Schedulers for tests, at free ports of this machine's loopback."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import pytest
from distributed import Client, Security, Worker
from distributed.utils_test import async_poll_for

from leandask import LeanScheduler

LOCAL = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}

lean = partial(LeanScheduler, **LOCAL)

#: Wait until a condition holds.
until = partial(async_poll_for, timeout=30, period=0.01)


async def run_housekeeping(scheduler):
    """Run a round of housekeeping now."""
    await scheduler.extensions["leandask"].housekeeping.run()


@asynccontextmanager
async def lean_cluster(**kwargs):
    """A scheduler of ours with a worker, and a client."""
    async with lean(**kwargs) as s, Worker(s.address, dashboard=False):
        async with Client(s.address, asynchronous=True) as c:
            yield s, c


@pytest.fixture
def dashboard_tls(tmp_path):
    """Settings for servers for HTTP that use TLS."""
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
