"""Memory in use after tens of thousands of tasks: a short soak.

RSS would not tell: the first MiB of a leak go into what is free between objects.
"""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.harness.cluster import COMMANDS, Cluster
from benchmarks.harness.inuse import in_use
from benchmarks.rounds import N_WORKERS, run_round, tiny_tasks
from benchmarks.scenarios import wait_until_closed, wait_until_empty

pytest.importorskip("pyarrow")  # a round shuffles
pytestmark = [
    # Of the graphs of old releases, and of garbage collected beside clients that go.
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(600),
]

TASKS = 10_000  # at one time, of which 5000 in flight
PRELOAD = Path(__file__).with_name("programs") / "leak.py"
#: Histories that are full after one round.
SMALL = {
    "events": "20",
    "topics": "50",
    "log-records": "50",
    "task-stream": "100",
    "spans": "10",
    "task-prefixes": "50",
    "key-cache": "100",
    "samples": "20",
    "profile": "5",
    "departed": "10",
}


@pytest.fixture(autouse=True)
def small_histories(monkeypatch):
    for name, bound in SMALL.items():
        variable = f"DASK_LEANDASK__RETENTION__{name.upper().replace('-', '_')}"
        monkeypatch.setenv(variable, bound)


def many_tasks(cluster, number):
    tiny_tasks(cluster, number, TASKS)


def growth(name, *loads):
    """Bytes in use that a scheduler gains for each task once it has met all loads."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # tasks are to fail
    with closing(Cluster(name, N_WORKERS)) as cluster, cluster.client.as_current():

        def used_after(*numbers):
            for number in numbers:
                for load in loads:
                    load(cluster, number)
            wait_until_empty(cluster)
            wait_until_closed(cluster)
            return cluster.ask(in_use)

        before = used_after(0)  # the histories are full
        return (used_after(1, 2) - before) / (2 * TASKS)


def test_a_task_leaves_nothing_behind():
    assert growth("leandask", run_round, many_tasks) < 60


def test_a_leak_of_a_hundred_bytes_a_task_would_show(monkeypatch):
    leaking = [*COMMANDS["leandask"], f"--preload={PRELOAD}"]
    monkeypatch.setitem(COMMANDS, "leaking", leaking)
    assert growth("leaking", many_tasks) > 60
