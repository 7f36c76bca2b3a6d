from __future__ import annotations

import subprocess
import urllib.request

import dask
import pytest
from distributed import Client, LocalCluster, Scheduler, SpecCluster, Worker
from distributed.deploy.subprocess import SubprocessScheduler
from distributed.utils_test import gen_test, inc

import leandask
from leandask import LeanCluster, LeanScheduler, LeanSpecMixin, Retention
from tests.helpers.processes import (
    PYTHON,
    assert_lean,
    lean_settings,
    records_of,
    wait_for,
)
from tests.helpers.schedulers import LOCAL, run_housekeeping

NO_DASHBOARD = {"dashboard": False}
#: Without this address the HTTP server would use a fixed port.
SMALL = {
    "n_workers": 1,
    "threads_per_worker": 1,
    "dashboard_address": "127.0.0.1:0",
    "scheduler_kwargs": NO_DASHBOARD,
}
THREADS = SMALL | {"processes": False}


def test_it_computes_and_has_our_bounds_and_records(tmp_path):
    log = tmp_path / "log.jsonl"
    with dask.config.set(lean_settings(log)):
        with LeanCluster(**THREADS) as cluster, Client(cluster) as client:
            assert isinstance(cluster, LocalCluster)
            assert type(cluster.scheduler) is LeanScheduler
            assert_lean(client, log, workers=1)
    assert '"event_name":"dask.scheduler.stop"' in log.read_text().splitlines()[-1]


def test_workers_can_be_processes_and_can_be_scaled(tmp_path):
    log = tmp_path / "log.jsonl"
    with dask.config.set(lean_settings(log)):
        with LeanCluster(**SMALL) as cluster, Client(cluster) as client:
            assert_lean(client, log, workers=1)
            cluster.scale(2)
            client.wait_for_workers(2, timeout=60)
            adaptive = cluster.adapt(minimum=1, maximum=1, interval="50ms")
            wait_for(lambda: len(client.scheduler_info()["workers"]) == 1)
            adaptive.stop()


@pytest.mark.parametrize(
    "processes, rounds",
    [(False, 4), pytest.param(True, 3, marks=pytest.mark.nightly)],
)
def test_an_adaptive_cluster_leaves_events_and_no_memory(tmp_path, processes, rounds):
    log = tmp_path / "log.jsonl"
    settings = {"leandask.event-log.path": str(log), "leandask.retention.departed": 2}
    adaptive = THREADS | {"n_workers": 0, "processes": processes}
    with dask.config.set(settings):
        with LeanCluster(**adaptive) as cluster, Client(cluster) as client:
            cluster.adapt(minimum=0, maximum=2, interval="20ms", wait_count=1)
            kept = []
            for _ in range(rounds):
                assert client.submit(inc, 1, pure=False).result(timeout=60) == 2
                wait_for(lambda: not cluster.scheduler.workers)
                client.sync(run_housekeeping, cluster.scheduler)
                histories = leandask.get_report(client)["histories"]
                kept.append(histories["topics"]["kept"])
            assert histories["departed"]["seen"] >= rounds
            assert kept[-1] <= kept[1] + 1
    events = [e for _, e in leandask.LogReader(log).events("all")]
    added = [e["worker"] for e in events if e["action"] == "add-worker"]
    removed = [e for e in events if e["action"] == "remove-worker"]
    assert len(added) >= rounds
    assert [e["worker"] for e in removed] == added
    assert all(e["expected"] for e in removed)  # retired, not lost
    *_, end = leandask.LogReader(log).records()
    assert (end["event_name"], end["missing_total"]) == ("dask.scheduler.stop", 0)


@gen_test()
async def test_it_can_be_asynchronous():
    async with (
        LeanCluster(asynchronous=True, retention={"events": 7}, **THREADS) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        assert await client.submit(inc, 1) == 2
        assert cluster.scheduler.retention.events == 7


def test_it_can_use_tls(tmp_path):
    log = tmp_path / "log.jsonl"
    with dask.config.set(lean_settings(log)):
        with (
            LeanCluster(security=True, **THREADS) as cluster,
            Client(cluster) as client,
        ):
            assert cluster.scheduler_address.startswith("tls://127.0.0.1")
            assert_lean(client, log, workers=1)


@pytest.mark.parametrize("retention", [{"events": 7}, Retention(events=7)])
def test_bounds_are_an_argument(retention):
    with LeanCluster(retention=retention, **THREADS) as cluster:
        assert cluster.scheduler.retention.events == 7


def test_scheduler_kwargs_reach_the_scheduler():
    given = NO_DASHBOARD | {"retention": {"events": 8}, "idle_timeout": "1 hour"}
    with LeanCluster(**THREADS | {"scheduler_kwargs": given}) as cluster:
        assert cluster.scheduler.retention.events == 8
        assert cluster.scheduler.idle_timeout == 3600


def test_a_bad_bound_is_refused_before_anything_starts():
    before = set(Scheduler._instances)
    with pytest.raises(ValueError, match=r"retention\.events must be"):
        LeanCluster(retention={"events": -1}, **THREADS)
    assert set(Scheduler._instances) == before


def test_the_dashboard_is_made_at_the_first_request():
    code = """
import sys, urllib.request
from leandask import LeanCluster
if __name__ == "__main__":
    with LeanCluster(
        n_workers=1,
        processes=False,
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        assert "bokeh.server" not in sys.modules
        with urllib.request.urlopen(cluster.dashboard_link, timeout=60) as page:
            assert b"Dask" in page.read()
        assert "bokeh.server" in sys.modules
"""
    subprocess.run([PYTHON, "-c", code], check=True, timeout=60)


def test_the_health_page_is_served():
    with LeanCluster(protocol="tcp", **THREADS) as cluster:
        link = cluster.dashboard_link.replace("/status", "/health")
        with urllib.request.urlopen(link, timeout=20) as page:
            assert page.read() == b"ok"


class Mixed(LocalCluster, LeanSpecMixin):
    """The mixin with a cluster class, as a user writes it."""

    retention = {"events": 7}


class Late(SpecCluster):
    """Makes the spec of its scheduler while it starts, as some classes do."""

    async def _start(self):
        self.scheduler_spec = {"cls": Scheduler, "options": LOCAL}
        await super()._start()


class LateMixed(Late, LeanSpecMixin):
    retention = {"events": 7}


@pytest.mark.parametrize("first", [False, True])
def test_the_mixin_installs_our_class(first):
    cls = Mixed
    if first:
        cls = type(
            "First", (LeanSpecMixin, LocalCluster), {"retention": Mixed.retention}
        )
    with cls(**THREADS) as cluster, Client(cluster) as client:
        assert type(cluster.scheduler) is LeanScheduler
        assert cluster.scheduler.retention.events == 7
        assert client.submit(inc, 1).result() == 2
    with LocalCluster(**THREADS) as cluster:
        assert type(cluster.scheduler) is Scheduler


@gen_test()
async def test_the_mixin_changes_a_spec_that_is_made_late():
    async with LateMixed(asynchronous=True) as cluster:
        assert type(cluster.scheduler) is LeanScheduler
        assert cluster.scheduler.retention.events == 7


@gen_test()
async def test_spec_cluster_accepts_our_class():
    options = LOCAL | {"retention": {"events": 7}}
    worker = {"cls": Worker, "options": {"nthreads": 1}}
    for cls in (LeanScheduler, "leandask.LeanScheduler"):
        async with (
            SpecCluster(
                scheduler={"cls": cls, "options": options},
                workers={0: worker},
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            assert await client.submit(inc, 1) == 2
            assert cluster.scheduler.retention.events == 7


@pytest.mark.parametrize("processes", [False, True])
def test_no_worker_is_lost_as_a_cluster_closes(tmp_path, processes):
    log = tmp_path / "log.jsonl"
    with dask.config.set({"leandask.event-log.path": str(log)}):
        with LeanCluster(**SMALL | {"processes": processes}) as cluster:
            Client(cluster).shutdown()
    left = [r for r in records_of(log) if r.get("action") == "remove-worker"]
    assert {r["severity"] for r in left} == {"INFO"}


def test_the_mixin_refuses_a_scheduler_of_another_process():
    with pytest.raises(TypeError, match=r"add leandask\.preload to .*SubprocessSch"):
        LeanSpecMixin(scheduler={"cls": SubprocessScheduler}, asynchronous=True)


def test_both_classes_are_public():
    assert {"LeanCluster", "LeanSpecMixin"} <= set(leandask.__all__) & set(
        dir(leandask)
    )
