"""The sweeps: what a scheduler costs with more and more workers, clients or tasks.

Each sweep is a generator that yields a point at each step, so that several schedulers
can take turns.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.harness.cluster import MIB, Cluster
from benchmarks.scale.swarm import Swarm
from benchmarks.scenarios import run_tiny_tasks, wait_until, wait_until_empty
from benchmarks.tasks import (
    increment,
    n_in_memory,
    n_peers,
    n_tasks,
    n_transitions,
    settle,
)

#: Measured values by their name.
Point = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How many workers, clients and tasks the sweeps have."""

    workers: tuple[int, ...] = (0, 10, 100, 500, 1000, 1500, 2000)
    clients: tuple[int, ...] = (0, 100, 250, 500, 750, 1000)
    #: Levels of held tasks, at each of which some are run.
    tasks: tuple[int, ...] = (10_000, 30_000, 100_000, 300_000, 1_000_000)
    #: Tasks in a batch, at most; the cost of each batch is measured.
    batch: int = 20_000
    #: Held tasks that are run at each level.
    run: int = 4_000
    #: Tasks that are run with each number of workers, and how often.
    probe: int = 6_000
    probes: int = 3
    #: Tasks that fill all histories, tasks of each round after them, and rounds.
    warm_up: int = 120_000
    round: int = 15_000
    rounds: int = 8
    #: Seconds of idling that are measured.
    idle: float = 8.0


QUICK = Sizes(
    workers=(0, 10, 50, 100, 150),
    clients=(0, 20, 40, 60),
    tasks=(1_000, 3_000, 10_000),
    batch=1_000,
    run=500,
    probe=1_000,
    probes=2,
    warm_up=2_000,
    round=1_000,
    rounds=4,
    idle=1.0,
)


class Meter:
    """CPU time and transitions of a scheduler since it was made."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._transitions = cluster.ask(n_transitions)
        self._begun = time.monotonic()
        self._cpu = cluster.cpu

    @property
    def cpu(self) -> float:
        """CPU time of the process, in seconds."""
        return self.cluster.cpu - self._cpu

    def per_transition(self, idle: float = 0.0) -> float:
        """CPU microseconds of the process for each transition.

        `idle` is subtracted: CPU seconds per second of an idle scheduler.
        """
        cpu = self.cpu - idle * (time.monotonic() - self._begun)
        return cpu * 1e6 / (self.cluster.ask(n_transitions) - self._transitions)


def settled(cluster: Cluster) -> float:
    """Return RSS in bytes, without garbage and free memory."""
    cluster.ask(settle)
    return cluster.rss * MIB


def workers(cluster: Cluster, swarm: Swarm, sizes: Sizes) -> Iterator[Point]:
    """Workers connect and idle; then fewer and fewer of them run tasks."""
    own = cluster.ask(n_peers)
    before = 0
    idle: dict[int, float] = {}
    for count in sizes.workers:
        meter = Meter(cluster)
        swarm.ask("have_workers", count)
        wait_until(lambda n=count: cluster.ask(n_peers) == n + own)  # type: ignore[misc]
        point = {"workers": count}
        if count:
            # The mean over all new workers belongs to the middle of their number.
            point["register_at"] = (before + count) / 2
            point["register"] = meter.cpu / (count - before)
        point["rss"] = settled(cluster)
        meter = Meter(cluster)
        time.sleep(sizes.idle)
        point["idle"] = idle[count] = meter.cpu / sizes.idle
        before = count
        yield point
    first = 0
    for count in reversed(sizes.workers[1:]):
        swarm.ask("have_workers", count)
        wait_until(lambda n=count: cluster.ask(n_peers) == n + own)  # type: ignore[misc]
        for _ in range(sizes.probes):
            meter = Meter(cluster)
            run_tiny_tasks(cluster, first, sizes.probe, in_flight=5 * sizes.probe)
            wait_until_empty(cluster)
            yield {"workers": count, "cost": meter.per_transition(idle[count])}
            first += sizes.probe


def clients(cluster: Cluster, swarm: Swarm, sizes: Sizes) -> Iterator[Point]:
    """Clients connect and idle."""
    own = cluster.ask(n_peers)
    for count in sizes.clients:
        swarm.ask("have_clients", count)
        wait_until(lambda n=count: cluster.ask(n_peers) == n + own)  # type: ignore[misc]
        time.sleep(1)
        yield {"clients": count, "rss": settled(cluster)}


def tasks(cluster: Cluster, swarm: Swarm, sizes: Sizes) -> Iterator[Point]:
    """Pending tasks are submitted; some of them run; finally all are released."""
    swarm.ask("have_workers", 10)
    swarm.ask("hold")
    futures: list[Any] = []
    finished = 0
    yield {"tasks": 0, "rss": settled(cluster)}
    for level in sizes.tasks:
        while (count := len(futures)) < level:
            until = min(count + sizes.batch, level)
            meter = Meter(cluster)
            futures += cluster.client.map(increment, range(count, until))
            wait_until(lambda n=until: cluster.ask(n_tasks) == n)  # type: ignore[misc]
            point = {"tasks": until, "submit": meter.per_transition()}
            # Collecting the garbage of so many tasks would take too long.
            yield {**point, "rss": cluster.rss * MIB}
        meter = Meter(cluster)
        swarm.ask("finish", sizes.run)
        finished += sizes.run
        wait_until(lambda n=finished: cluster.ask(n_in_memory) == n)  # type: ignore[misc]
        yield {"tasks": level, "run": meter.per_transition()}
    meter = Meter(cluster)
    del futures
    wait_until_empty(cluster)
    released = meter.per_transition()
    yield {"released": sizes.tasks[-1], "release": released, "rss": settled(cluster)}


def finished(cluster: Cluster, swarm: Swarm, sizes: Sizes) -> Iterator[Point]:
    """Tasks run and are forgotten, again and again."""
    swarm.ask("have_workers", 20, 8)
    count = 0
    for number in range(sizes.rounds + 1):
        more = sizes.round if number else sizes.warm_up
        meter = Meter(cluster)
        run_tiny_tasks(cluster, count, more, in_flight=5_000)
        wait_until_empty(cluster)
        count += more
        cost = meter.per_transition()
        rss = cluster.rss * MIB
        yield {"finished": count, "cost": cost, "raw": rss, "rss": settled(cluster)}


#: By name.
SWEEPS: dict[str, Callable[[Cluster, Swarm, Sizes], Iterator[Point]]] = {
    "workers": workers,
    "clients": clients,
    "tasks": tasks,
    "finished": finished,
}
