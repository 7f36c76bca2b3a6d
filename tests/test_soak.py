"""Memory after tens of thousands of tasks: a short soak."""

from __future__ import annotations

import logging
from contextlib import closing

import pytest
from distributed.diagnostics.plugin import SchedulerPlugin

from benchmarks.cluster import COMMANDS, Cluster
from benchmarks.rounds import N_WORKERS, run_round, tiny_tasks
from benchmarks.scenarios import wait_until_empty
from benchmarks.tasks import settle

pytest.importorskip("pyarrow")  # a round shuffles
#: Of the graphs of old releases, and of garbage collected beside clients that go.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(900),
]

TASKS = 10_000  # at one time, of which 5000 in flight
ROUNDS = 3
#: Bounds that so many rounds fill.
SMALL = {
    "topics": "100",
    "event-bytes": "64 KiB",
    "spans": "10",
    "computations": "5",
    "task-prefixes": "60",
    "key-cache": "500",
    "samples": "20",
    "log-records": "50",
    "departed": "10",
}


@pytest.fixture(scope="module")
def warm():
    """A cluster whose scheduler's histories are full, after all kinds of load."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # tasks are to fail
    bounds = [f"--retention={name}={bound}" for name, bound in SMALL.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COMMANDS, "small", [*COMMANDS["leandask"], *bounds])
        cluster = Cluster("small", N_WORKERS)
    with closing(cluster), cluster.client.as_current():
        for number in range(ROUNDS):
            run_round(cluster, number)
        for number in range(ROUNDS, ROUNDS + 2):  # what is in flight takes memory too
            tiny_tasks(cluster, number, TASKS)
        yield cluster


def settled(cluster):
    """Memory in bytes, without what is free in the heap."""
    wait_until_empty(cluster)
    cluster.ask(settle)
    return cluster.rss * 2**20


def growth(cluster, first):
    """Bytes that a scheduler grows by for each of 40,000 tasks."""
    before = settled(cluster)
    for number in range(first, first + 4):
        tiny_tasks(cluster, number, TASKS)
    return (settled(cluster) - before) / (4 * TASKS)


def test_a_task_leaves_nothing_behind(warm):
    run_round(warm, 10)
    assert growth(warm, 11) < 60


def test_a_leak_of_a_hundred_bytes_a_task_would_show(warm):
    def leak(dask_scheduler):  # here, so that it goes over as it is
        class Leak(SchedulerPlugin):
            leaked = []

            def transition(self, key, start, finish, *args, **kwargs):
                if finish == "forgotten":
                    self.leaked.append(bytes(100 - 33))  # and 33 of the object itself

        dask_scheduler.add_plugin(Leak())

    warm.ask(leak)
    assert growth(warm, 20) > 60
