"""Memory after tens of thousands of tasks: a short soak."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

import leandask
from benchmarks.cluster import COMMANDS, Cluster
from benchmarks.rounds import N_WORKERS, run_round, tiny_tasks
from benchmarks.scenarios import wait_until_empty

pytest.importorskip("pyarrow")  # a round shuffles

WARM_UP = 4  # rounds, in which histories and pools of memory are filled
TASKS = 15_000  # of each measure
PRELOAD = Path(__file__).with_name("programs") / "leak.py"


def settled(cluster):
    """Memory in bytes, without what is free in the heap."""
    wait_until_empty(cluster)
    leandask.give_back(cluster.client)
    return cluster.rss * 2**20


def growth(name):
    """Bytes that a scheduler grows by for each task, once its histories are full."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # tasks are to fail
    with closing(Cluster(name, N_WORKERS)) as cluster:
        for number in range(WARM_UP):
            run_round(cluster, number)
        with cluster.client.as_current():
            tiny_tasks(cluster, WARM_UP, TASKS)
        before = settled(cluster)
        run_round(cluster, WARM_UP + 1)
        with cluster.client.as_current():
            tiny_tasks(cluster, WARM_UP + 2, TASKS)
            tiny_tasks(cluster, WARM_UP + 3, TASKS)
        return (settled(cluster) - before) / (2 * TASKS)


@pytest.mark.timeout(600)
def test_a_task_leaves_nothing_behind():
    assert growth("leandask") < 50


@pytest.mark.timeout(600)
def test_a_leak_of_a_hundred_bytes_a_task_would_show(monkeypatch):
    leaking = [*COMMANDS["leandask"], f"--preload={PRELOAD}"]
    monkeypatch.setitem(COMMANDS, "leaking", leaking)
    assert growth("leaking") > 50
