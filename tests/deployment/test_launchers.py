"""Other projects' ways to start a scheduler, with leandask.

Most run in a separate process, as a user's program does, so that their warnings about
unclosed resources fail no test here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import urllib.request
from pathlib import Path

import dask
import pytest
from distributed import Client
from distributed.utils_test import gen_test, inc

from leandask import LeanCluster
from tests.helpers.paths import ROOT
from tests.helpers.processes import (
    PYTHON,
    Process,
    assert_lean,
    free_port,
    lean_environment,
    lean_settings,
    wait_for,
)

HERE = Path(__file__).parent

pytestmark = pytest.mark.timeout(240)


def need(package):
    """Skip the test if a package of the extra ``deploy`` is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def run_program(folder, name, *args, **env):
    """Run one of the programs; if it fails, its stderr is the error."""
    path = HERE / "programs" / f"{name}.py"
    env["PYTHONPATH"] = str(ROOT)
    with Process(folder, "program", PYTHON, path, *args, **env) as process:
        assert process.popen.wait(timeout=200) == 0, process.stderr


@pytest.mark.parametrize("way", ["class", "name", "mixin"])
def test_jobqueue(tmp_path, way):
    """With the mixin, also TLS."""
    need("dask_jobqueue")
    run_program(tmp_path, "with_jobqueue", way, tmp_path / "log.jsonl")


def test_mpi(tmp_path):
    """One rank is the scheduler, one a worker."""
    need("dask_mpi")
    if not (mpirun := shutil.which("mpirun")):
        pytest.skip("mpirun is not installed")
    log, file = tmp_path / "log.jsonl", tmp_path / "scheduler.json"
    loopback = ["--mca", "oob_tcp_if_include", "lo", "--mca", "btl", "self,vader"]
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    with Process(
        tmp_path,
        "mpi",
        *(mpirun, *root, "--oversubscribe", *loopback, "-np", 2),
        *(PYTHON, "-m", "dask_mpi.cli", "--worker-class=distributed.Worker"),
        *("--interface=lo", "--dashboard-address=127.0.0.1:0", "--nthreads=1"),
        f"--scheduler-file={file}",
        f"--local-directory={tmp_path}",
        **lean_environment(log),
        DASK_DISTRIBUTED__SCHEDULER__PRELOAD="leandask.preload",
    ) as process:
        wait_for(lambda: file.exists() or process.popen.poll() is not None)
        assert process.popen.poll() is None, process.stderr
        with Client(scheduler_file=str(file)) as client:
            assert_lean(client, log, workers=1)
        process.stop()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def test_gateway(tmp_path):
    """Its scheduler's command has flags for a preload, and TLS is used throughout."""
    need("dask_gateway")
    need("dask_gateway_server")
    log = tmp_path / "log.jsonl"
    server, proxy, proxy_tcp = (f"127.0.0.1:{free_port()}" for _ in range(3))
    (tmp_path / "config.py").write_text(
        f"""
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.DaskGateway.address = "{server}"
c.SimpleAuthenticator.password = "secret"
c.Proxy.address = "{proxy}"
c.Proxy.tcp_address = "{proxy_tcp}"
c.LocalBackend.clusters_directory = {str(tmp_path)!r}
c.ClusterConfig.scheduler_cmd = ["leandask-scheduler"]
c.ClusterConfig.worker_cmd = ["dask", "worker"]
c.ClusterConfig.environment = {lean_environment(log)!r}
"""
    )
    with Process(
        tmp_path,
        "gateway",
        *(PYTHON.with_name("dask-gateway-server"), "-f", "config.py"),
        PATH=f"{PYTHON.parent}:{os.environ['PATH']}",
    ) as process:
        url = f"http://{proxy}"
        wait_for(
            lambda: answers(f"{url}/api/health") or process.popen.poll() is not None
        )
        assert process.popen.poll() is None, process.stderr
        run_program(tmp_path, "with_gateway", url, f"gateway://{proxy_tcp}", log)
        assert process.stop(signal.SIGINT) == 0
    assert '"event_name":"dask.scheduler.stop"' in log.read_text()


@gen_test()
async def test_labextension(tmp_path):
    """What JupyterLab's button for a new cluster does."""
    need("dask_labextension")
    from dask_labextension.manager import make_cluster

    factory = {
        "labextension.factory.module": "leandask",
        "labextension.factory.class": "LeanCluster",
        "labextension.factory.kwargs": {
            "n-workers": 1,
            "threads-per-worker": 1,
            "processes": False,
            "dashboard-address": "127.0.0.1:0",
        },
    }
    log = tmp_path / "log.jsonl"
    with dask.config.set(factory | lean_settings(log)):
        cluster, _ = await make_cluster({"workers": 2})
        async with cluster, Client(cluster, asynchronous=True) as client:
            assert type(cluster) is LeanCluster
            assert cluster.scheduler.retention.events == 7
            assert await client.submit(inc, 1) == 2
            await client.wait_for_workers(2)
    assert '"action":"add-worker"' in log.read_text()


def test_prefect(tmp_path):
    need("prefect_dask")
    log = tmp_path / "log.jsonl"
    run_program(
        tmp_path,
        "with_prefect",
        PREFECT_HOME=str(tmp_path / "prefect"),
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="90",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        DO_NOT_TRACK="1",
        **lean_environment(log),
    )
    assert '"action":"add-worker"' in log.read_text()


def test_dagster(tmp_path):
    need("dagster_dask")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    log = tmp_path / "log.jsonl"
    run_program(
        tmp_path, "with_dagster", DAGSTER_HOME=str(tmp_path), **lean_environment(log)
    )
    assert '"action":"add-worker"' in log.read_text()
