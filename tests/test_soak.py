"""Memory after tens of thousands of tasks: a short soak."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.cluster import COMMANDS, Cluster
from benchmarks.rounds import N_WORKERS, run_round, tiny_tasks
from benchmarks.scenarios import wait_until_empty
from benchmarks.tasks import settle

pytest.importorskip("pyarrow")  # a round shuffles
#: Of the graphs of old releases, and of garbage collected beside clients that go.
pytestmark = pytest.mark.filterwarnings("default")

TASKS = 10_000  # at one time, of which 5000 in flight
PRELOAD = Path(__file__).with_name("programs") / "leak.py"


def settled(cluster):
    """Memory in bytes, without what is free in the heap."""
    wait_until_empty(cluster)
    cluster.ask(settle)
    return cluster.rss * 2**20


def growth(name, rounds):
    """Bytes that a scheduler grows by for each task, after some rounds of all loads."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # tasks are to fail
    with closing(Cluster(name, N_WORKERS)) as cluster, cluster.client.as_current():
        for number in range(rounds):  # fill the histories
            run_round(cluster, number)
        for number in range(rounds, rounds + 2):  # and what is in flight takes memory
            tiny_tasks(cluster, number, TASKS)
        before = settled(cluster)
        if rounds:
            run_round(cluster, rounds + 2)
        for number in range(rounds + 3, rounds + 7):
            tiny_tasks(cluster, number, TASKS)
        return (settled(cluster) - before) / (4 * TASKS)


@pytest.mark.timeout(900)
def test_a_task_leaves_nothing_behind():
    assert growth("leandask", rounds=8) < 60


@pytest.mark.timeout(900)
def test_a_leak_of_a_hundred_bytes_a_task_would_show(monkeypatch):
    leaking = [*COMMANDS["leandask"], f"--preload={PRELOAD}"]
    monkeypatch.setitem(COMMANDS, "leaking", leaking)
    assert growth("leaking", rounds=0) > 60
