"""Logs of real schedulers with different ends, and a server that shows them."""

from __future__ import annotations

import json
import os
import signal
from unittest.mock import patch

import pytest

import leandask
from tests.helpers.historyserver import serving
from tests.helpers.paths import ROOT
from tests.helpers.processes import is_written, joined_by_two, starting, wait_for
from tests.historyserver.tasksofruns import fail, inc, leave

FAST = {
    "DASK_LEANDASK__STREAM__SAMPLE_INTERVAL": "200ms",
    "DASK_LEANDASK__EVENT_LOG__FLUSH_INTERVAL": "50ms",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
}


def run_cluster(folder, log, work, end):
    """Run a scheduler with two workers, and end it; return its id."""
    folder.mkdir()
    # Scheduler and workers import the functions of the tasks.
    with patch.dict(os.environ, PYTHONPATH=str(ROOT)), starting(folder) as start:
        process, file = start("--event-log", log, "--log-transitions", **FAST)
        assert is_written(file), process.stderr
        scheduler_id = json.loads(file.read_text())["id"]
        with joined_by_two(folder, file) as client:
            work(client)
            wait_for(lambda: '"leandask.sample"' in log.read_text())
        process.stop(end)
    return scheduler_id


@pytest.fixture(scope="session")
def real_logs(tmp_path_factory):
    """A folder of three logs of real schedulers, and the ids of these by their end."""
    root = tmp_path_factory.mktemp("history")
    logs = root / "logs"
    logs.mkdir()

    def calculate(client):
        assert client.gather(client.map(inc, range(50))) == [*range(1, 51)]

    def fill(client):
        calculate(client)
        leandask.set_memory(client, limit="32 MiB")  # which it is beyond
        log = logs / "b.jsonl"
        wait_for(lambda: f'"limit":{2**25},"workers"' in log.read_text())

    def err(client):
        calculate(client)
        futures = client.map(fail, range(3))
        assert [type(f.exception()) for f in futures] == [ValueError] * 3

    def lose(client):
        calculate(client)
        client.submit(leave, 1).exception()  # its worker is lost

    ids = {
        "clean": run_cluster(root / "a", logs / "a.jsonl", err, signal.SIGTERM),
        "killed": run_cluster(root / "b", logs / "b.jsonl", fill, signal.SIGKILL),
        "lost": run_cluster(root / "c", logs / "c.jsonl", lose, signal.SIGTERM),
    }
    return logs, ids


@pytest.fixture(scope="session")
def real_server(real_logs, tmp_path_factory):
    """A server of these logs."""
    logs, _ = real_logs
    with serving(tmp_path_factory.mktemp("server"), str(logs)) as server:
        server.wait_for_runs(3)
        yield server


@pytest.fixture
def serve(tmp_path):
    """Start servers in a folder of the test, one at a time."""

    def serve(*args, name="history"):
        return serving(tmp_path, *map(str, args), name=name)

    return serve
