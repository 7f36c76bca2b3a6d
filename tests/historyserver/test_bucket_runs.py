"""Runs of schedulers of all kinds and ends, whose archive is one bucket."""

from __future__ import annotations

import json
import os
import signal
from unittest.mock import patch

import fsspec
import pytest

import leandask
from leandask.records.times import seconds_of
from tests.helpers.buckets import needs_s3, s3  # noqa: F401
from tests.helpers.historyserver import serving
from tests.helpers.paths import ROOT
from tests.helpers.processes import (
    COMMAND,
    DASK,
    PYTHON,
    Process,
    joined_by_two,
    starting,
    wait_for,
)
from tests.historyserver.tasksofruns import fail, inc, leave

URL = "s3://bucket/dask"
SETTINGS = {
    "DASK_LEANDASK__EVENT_LOG__PATH": URL,
    "DASK_LEANDASK__EVENT_LOG__ARCHIVE_INTERVAL": "300ms",
    "DASK_LEANDASK__EVENT_LOG__FLUSH_INTERVAL": "50ms",
    "DASK_LEANDASK__STREAM__SAMPLE_INTERVAL": "200ms",
    "DASK_LEANDASK__STREAM__CLOSE_TIMEOUT": "30s",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
}
SPEC = {"cls": "leandask.LeanScheduler", "opts": {"host": "127.0.0.1", "port": 0}}
SPEC["opts"] |= {"dashboard": False}
#: How each kind of scheduler is started.
COMMANDS = {
    "leandask-scheduler": (COMMAND,),
    "lean-scheduler": (DASK, "lean-scheduler"),
    "preload": (DASK, "scheduler", "--preload=leandask.preload"),
}
LOCAL = """
import leandask
with leandask.LeanCluster(
    n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
) as cluster, cluster.get_client() as client:
    assert client.gather(client.map(lambda x: x + 1, range(50)))[-1] == 50
"""


def calculate(client):
    assert client.gather(client.map(inc, range(50))) == [*range(1, 51)]


def err(client):
    calculate(client)
    for future in client.map(fail, range(3)):
        assert type(future.exception()) is ValueError


def lose(client):
    calculate(client)
    client.submit(leave, 1).exception()  # its worker is lost


def fill(client):
    calculate(client)
    leandask.set_memory(client, limit="32 MiB")  # which it is beyond


#: What each run does, the signal that ends it, and what is told of it: its state, tasks
#: that erred, and workers that were lost before its end.
ENDS = {
    "clean": (calculate, signal.SIGTERM, ("stopped", 0, 0)),
    "erred": (err, signal.SIGTERM, ("stopped", 3, 0)),
    "lost": (lose, signal.SIGTERM, ("stopped", 1, 1)),
    "killed": (calculate, signal.SIGKILL, ("killed", 0, 0)),
    "memory": (fill, signal.SIGKILL, ("killed-memory", 0, 0)),
}


class Bucket:
    """What schedulers wrote to the bucket of a server of this test."""

    def __init__(self):
        options = {"use_listings_cache": False, "skip_instance_cache": True}
        self.fs = fsspec.filesystem("s3", **options)

    def run(self, name):
        """The path of a ``run.json`` and what is in it; None if it is not there yet."""
        for path in self.fs.glob(f"{URL}/*/run.json"):
            run = json.loads(self.fs.cat_file(path))
            if run["name"] == name:
                return path, run
        return None

    def age(self, path, run):
        """Have the last sign of a run be ten minutes ago."""
        then = seconds_of(run["updated"]) - 600
        self.fs.pipe_file(path, json.dumps(run | {"updated": then}).encode())


def run_one(folder, bucket, name, command, end):
    """Run a scheduler with two workers, and end it."""
    work, signum, (state, erred, lost) = ENDS[end]
    folder.mkdir()
    spool = str(folder / "spool")
    own = {"DASK_LEANDASK__EVENT_LOG__ARCHIVE_FOLDER": spool}
    own |= {"DASK_LEANDASK__RUN__NAME": name}
    with patch.dict(os.environ, SETTINGS | own | {"PYTHONPATH": str(ROOT)}):
        with starting(folder) as start:
            process, file = start(command=command)
            assert file.exists(), process.stderr
            with joined_by_two(folder, file) as client:
                work(client)

                def is_told():
                    if (found := bucket.run(name)) is None:
                        return False
                    run = found[1]
                    is_full = end != "memory" or run["limit"] == 2**25
                    counts = run["tasks"], run["erred"], run["workers_lost"]
                    return is_full and counts == (50, erred, lost)

                wait_for(is_told)
            process.stop(signum)
    if signum == signal.SIGKILL:
        bucket.age(*bucket.run(name))
    return state, 50, erred


def run_local(folder, name):
    """Run a cluster in a process of its own, to its end."""
    folder.mkdir()
    own = {"DASK_LEANDASK__EVENT_LOG__ARCHIVE_FOLDER": str(folder / "spool")}
    own |= {"DASK_LEANDASK__RUN__NAME": name}
    with Process(folder, "local", PYTHON, "-c", LOCAL, **SETTINGS, **own) as process:
        assert process.popen.wait(timeout=120) == 0, process.stderr
    return "stopped", 50, 0


def run_spec(folder, bucket, name):
    """Run a scheduler of ``dask spec``, and end it."""
    folder.mkdir()
    own = {"DASK_LEANDASK__EVENT_LOG__ARCHIVE_FOLDER": str(folder / "spool")}
    own |= {"DASK_LEANDASK__RUN__NAME": name}
    args = (DASK, "spec", "--spec", json.dumps(SPEC))
    with Process(folder, "spec", *args, **SETTINGS, **own) as process:
        wait_for(lambda: bucket.run(name) or process.popen.poll() is not None)
        process.stop()
    return "stopped", 0, 0


def check(tmp_path, expected):
    with serving(tmp_path, URL) as server:
        wait_for(lambda: len(server.runs()) == len(expected))
        found = {
            run["name"]: (run["state"], run["tasks"], run["erred"])
            for run in server.runs("?per_page=100")
        }
        assert found == expected
        for run in server.runs("?per_page=100"):
            overview = server.ask(f"/runs/{run['id']}/overview")
            assert overview["records"] > 0 and overview["missing"] == 0
            tasks = server.ask(f"/runs/{run['id']}/tasks")["tasks"]
            assert sum(row["count"] - row["erred"] for row in tasks) == run["tasks"]


@needs_s3
@pytest.mark.timeout(300)
def test_runs_in_a_bucket_are_listed_with_their_ends(tmp_path, s3):  # noqa: F811
    bucket, one = Bucket(), COMMANDS["leandask-scheduler"]
    expected = {
        "local": run_local(tmp_path / "local", "local"),
        "spec": run_spec(tmp_path / "spec", bucket, "spec"),
        "memory": run_one(tmp_path / "memory", bucket, "memory", one, "memory"),
    }
    check(tmp_path, expected)


@needs_s3
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_thirty_runs_in_a_bucket_are_listed_with_their_ends(tmp_path, s3):  # noqa: F811
    bucket, expected = Bucket(), {}
    for turn in range(5):
        for end in ENDS:
            kind = [*COMMANDS][turn % len(COMMANDS)]
            name = f"{kind} {end} {turn}"
            folder = tmp_path / name.replace(" ", "-")
            expected[name] = run_one(folder, bucket, name, COMMANDS[kind], end)
    for i in range(3):
        local, spec = f"local {i}", f"spec {i}"
        expected[local] = run_local(tmp_path / f"local-{i}", local)
        expected[spec] = run_spec(tmp_path / f"spec-{i}", bucket, spec)
    assert len(expected) == 31
    check(tmp_path, expected)
