"""Dask's own ways to start a scheduler, with leandask."""

from __future__ import annotations

import json
import os

import dask
import pytest
from distributed import Client, LocalCluster, SSHCluster
from distributed.deploy.subprocess import SubprocessCluster

from tests.helpers.processes import (
    DASK,
    PYTHON,
    Process,
    assert_lean,
    lean_environment,
    lean_settings,
    start_worker,
    wait_for,
)
from tests.helpers.schedulers import LOCAL

PRELOAD = {"preload": "leandask.preload"}
IN_CONFIG = {"distributed.scheduler.preload": ["leandask.preload"]}


def test_dask_spec(tmp_path):
    log, file = tmp_path / "log.jsonl", tmp_path / "scheduler.json"
    options = LOCAL | {"port": 0, "scheduler_file": str(file)}
    spec = json.dumps({"cls": "leandask.LeanScheduler", "opts": options})
    with Process(
        tmp_path, "spec", DASK, "spec", "--spec", spec, **lean_environment(log)
    ) as process:
        wait_for(lambda: file.exists() or process.popen.poll() is not None)
        with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
            assert_lean(client, log, workers=1)
            assert client.run_on_scheduler(
                lambda dask_scheduler: type(dask_scheduler).__name__ == "LeanScheduler"
            )
        assert process.stop() == 0
    assert '"event_name":"dask.scheduler.stop"' in log.read_text().splitlines()[-1]


@pytest.mark.parametrize("way", ["argument", "configuration"])
def test_local_cluster_with_the_preload(tmp_path, way):
    log = tmp_path / "log.jsonl"
    config = lean_settings(log) | (IN_CONFIG if way == "configuration" else {})
    options = PRELOAD if way == "argument" else {}
    with (
        dask.config.set(config),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs=options | {"dashboard": False},
        ) as cluster,
        Client(cluster) as client,
    ):
        assert_lean(client, log, workers=1)


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_subprocess_cluster(tmp_path, monkeypatch, way):
    log = tmp_path / "log.jsonl"
    # It calls `dask`, which may not be on the path of the tests.
    monkeypatch.setenv("PATH", f"{PYTHON.parent}:{os.environ['PATH']}")
    options = {"dashboard": False, "scheduler_file": str(tmp_path / "scheduler.json")}
    if way == "argument":
        options |= PRELOAD
    else:
        monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__PRELOAD", "leandask.preload")
    for name, value in lean_environment(log).items():
        monkeypatch.setenv(name, value)
    with (
        SubprocessCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs=options,
            worker_kwargs={"local_directory": str(tmp_path)},
        ) as cluster,
        Client(cluster) as client,
    ):
        assert_lean(client, log, workers=1)


@pytest.mark.parametrize("way", ["argument", "configuration"])
def test_ssh_cluster(tmp_path, sshd, way):
    pytest.importorskip("asyncssh")
    log = tmp_path / "log.jsonl"
    # The remote processes inherit the configuration of this one.
    config = lean_settings(log) | (IN_CONFIG if way == "configuration" else {})
    options = LOCAL | (PRELOAD if way == "argument" else {})
    with (
        dask.config.set(config),
        SSHCluster(
            ["127.0.0.1", "127.0.0.1"],
            connect_options=sshd,
            remote_python=str(PYTHON),
            scheduler_options=options | {"port": 0},
            worker_options={
                "host": "127.0.0.1",
                "nthreads": 1,
                "local_directory": str(tmp_path),
            },
        ) as cluster,
        Client(cluster) as client,
    ):
        assert_lean(client, log, workers=1)
