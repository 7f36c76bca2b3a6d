"""Rounds of mixed load: every kind of load in a few seconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import dask
from dask.datasets import timeseries
from distributed import wait

from benchmarks.harness.cluster import Cluster
from benchmarks.scenarios import (
    clients_come_and_go,
    open_pages,
    run_tiny_tasks,
    wait_until_empty,
    workers_come_and_go,
)
from benchmarks.tasks import fail, increment

N_WORKERS = 4
#: Orders of a round's parts, which repeat. A load that stays random has ever higher
#: peaks; one that repeats has reached each of its peaks within minutes.
N_ORDERS = 16
#: Number of the first round. It has so many digits that the keys and texts of all
#: rounds have the same length: one more digit would make every history larger.
FIRST = 10_000


def tiny_tasks(cluster: Cluster, number: int, count: int = 2000) -> None:
    """A large computation, while workers come and go."""
    churn = asyncio.run_coroutine_threadsafe(
        workers_come_and_go(cluster.address, 4, 0.2, at_a_time=2),
        cluster.client.loop.asyncio_loop,
    )
    run_tiny_tasks(cluster, number * 10**6, count)
    churn.result()


def small_computations(cluster: Cluster, number: int) -> None:
    """Ten small computations, one after the other."""
    for i in range(10):
        cluster.client.submit(increment, -number * 10 - i).result()


def functions(cluster: Cluster, number: int) -> None:
    """Fifty functions that are used once, so that their history fills up soon."""
    keys = [f"function_{number}_{i}-{i:032x}" for i in range(50)]
    wait([cluster.client.submit(increment, 0, key=key) for key in keys])


def errors(cluster: Cluster, number: int) -> None:
    """Fifty tasks that raise, with long tracebacks."""
    wait(cluster.client.map(fail, range(number * 50, number * 50 + 50)))


def clients(cluster: Cluster, number: int) -> None:
    """Four clients, each with one task."""
    cluster.client.sync(clients_come_and_go, cluster.address, 4)


def events(cluster: Cluster, number: int) -> None:
    """Events on one topic that stays, and on fifty that are never used again."""
    for i in range(200):
        msg = {"action": "mine", "number": i, "text": f"event {i} of {number}"}
        topic = f"topic-{number}-{i % 100}" if i % 2 else "topic"
        cluster.client.log_event(topic, msg)


def pages(cluster: Cluster, number: int) -> None:
    """Two pages of the dashboard that are open during a computation."""
    with open_pages(cluster, ["status", "graph"]) as sessions:
        # Negative, so that no other part or round has these keys.
        run_tiny_tasks(cluster, -(number + 1) * 500, 500)
        for session in sessions:
            session.force_roundtrip()


def shuffle(cluster: Cluster, number: int) -> None:
    """A shuffle between workers, by p2p."""
    frame = timeseries(end="2000-01-02", partition_freq="3h", freq="60s", seed=number)
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        cluster.client.compute(frame.shuffle("id").x.sum()).result()


#: What makes a round.
PARTS: list[Callable[[Cluster, int], None]] = [
    tiny_tasks,
    small_computations,
    functions,
    errors,
    clients,
    events,
    pages,
    shuffle,
]


def run_round(cluster: Cluster, number: int) -> None:
    """Put every load on a cluster, in one of :data:`N_ORDERS` orders.

    The number of the round, from 0, sets the order, and makes its keys unique.
    """
    number += FIRST
    with cluster.client.as_current():
        for part in random.Random(number % N_ORDERS).sample(PARTS, len(PARTS)):
            part(cluster, number)
    wait_until_empty(cluster)
