"""Memory in use after tens of thousands of tasks: a short soak, and a very short one.

RSS can't show it: the first MiB of a leak fit into the free space between objects.
"""

from __future__ import annotations

import gc
import logging
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.harness.cluster import COMMANDS, Cluster
from benchmarks.harness.inuse import in_use
from benchmarks.rounds import N_WORKERS, run_round, tiny_tasks
from benchmarks.scale.swarm import Swarm
from benchmarks.scenarios import (
    run_tiny_tasks,
    wait_until_closed,
    wait_until_empty,
)
from tests.benchmarks.programs.leak import dask_setup

pytest.importorskip("pyarrow")  # a round shuffles
pytestmark = [
    # Of the graphs of old releases, and of garbage collected while clients leave.
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(1200),
]

TASKS = 10_000  # at one time, of which 5000 in flight
FEW_TASKS = 2_000
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


@pytest.fixture
def leaking(monkeypatch):
    """The name of a scheduler that leaks."""
    command = [*COMMANDS["leandask"], f"--preload={PRELOAD}"]
    monkeypatch.setitem(COMMANDS, "leaking", command)
    return "leaking"


async def n_objects(dask_scheduler=None):
    """Count the objects of the scheduler's process that can refer to others.

    Strings and bytes are not among them. The count is exact to some tens, where bytes
    are not: these depend on when each large table was last resized.
    """
    await in_use(dask_scheduler)
    return len(gc.get_objects())


async def leak(dask_scheduler=None):
    dask_setup(dask_scheduler)


def test_a_task_leaves_no_object_behind_and_a_leak_of_one_is_found():
    with closing(Cluster("leandask", 0)) as cluster, Swarm(cluster.address) as swarm:
        swarm.ask("have_workers", N_WORKERS)

        def objects_after(number):
            run_tiny_tasks(cluster, number * 10**6, FEW_TASKS)
            wait_until_empty(cluster)
            return cluster.ask(n_objects)

        full = objects_after(1)  # the histories
        lean = objects_after(2)
        assert lean - full < 0.5 * FEW_TASKS
        cluster.ask(leak)
        assert objects_after(3) - lean > 0.5 * FEW_TASKS


def many_tasks(cluster, number):
    tiny_tasks(cluster, number, TASKS)


def growth(name, *loads):
    """Bytes in use that a scheduler gains per task, after a first run of all loads."""
    logging.getLogger("distributed").setLevel(
        logging.CRITICAL
    )  # some tasks fail on purpose
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


@pytest.mark.nightly
def test_a_task_leaves_no_memory_behind():
    assert growth("leandask", run_round, many_tasks) < 60


@pytest.mark.nightly
def test_a_leak_of_a_hundred_bytes_per_task_is_found(leaking):
    assert growth(leaking, many_tasks) > 60
