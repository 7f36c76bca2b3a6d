"""Task throughput of real clusters: upstream, leandask, and leandask with all logged.

Run ``python -m benchmarks.throughput``; see ``--help``. The clusters take turns, round
by round, each time in another order; the result is the ratio within a round. Where
uvloop is installed ``leandask`` uses it, and ``leandask-asyncio`` does not.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import dask.array as da
from distributed import wait

from benchmarks.harness.cluster import Cluster, add_schedulers, be_quiet, clusters
from benchmarks.scenarios import run_tiny_tasks

#: By scheduler: tasks per second, and CPU microseconds of the scheduler per task, of
#: each round.
Results = dict[str, tuple[list[float], list[float]]]


class Row(NamedTuple):
    """Figures of a scheduler; ratios are to the first one, with standard errors."""

    name: str
    rate: float
    speed: tuple[float, float]
    cpu: float
    cost: tuple[float, float]


def run_map(cluster: Cluster, first: int, count: int) -> None:
    """Run a map of so many tasks that take no time."""
    run_tiny_tasks(cluster, first, count, in_flight=2_000)


def run_array(cluster: Cluster, first: int, count: int) -> None:
    """Run an array's graph: half of the tasks depend on one of the other half."""
    array = da.full(count // 2, first, chunks=1) + 1
    wait(cluster.client.persist(array, optimize_graph=False))


#: What is run, by its name.
GRAPHS = {"map": run_map, "array": run_array}


def measure(
    started: list[Cluster],
    rounds: int,
    tasks: int,
    run: Callable[[Cluster, int, int], None] = run_map,
) -> Results:
    """Run rounds of so many tiny tasks on each cluster in turn."""
    results: Results = {c.name: ([], []) for c in started}
    for n in range(-1, rounds):  # the first one warms up
        turn = n % len(started)
        for c in started[turn:] + started[:turn]:
            begun, cpu = time.perf_counter(), c.cpu
            with c.client.as_current():  # to wait with another one takes longer
                run(c, (n + 1) * tasks, tasks)
            seconds, cpu_seconds = time.perf_counter() - begun, c.cpu - cpu
            if n >= 0:
                results[c.name][0].append(tasks / seconds)
                results[c.name][1].append(cpu_seconds / tasks * 1e6)
    return results


def ratio(values: list[float], base: list[float]) -> tuple[float, float]:
    """Return the mean of the rounds' ratios, and its standard error."""
    logs = [math.log(v / b) for v, b in zip(values, base, strict=True)]
    mean = math.exp(statistics.fmean(logs))
    return mean, mean * statistics.stdev(logs) / math.sqrt(len(logs))


def rows(results: Results) -> Iterator[Row]:
    """Yield medians, and ratios to the first scheduler."""
    base_rates, base_cpu = next(iter(results.values()))
    for name, (rates, cpu) in results.items():
        yield Row(
            name,
            statistics.median(rates),
            ratio(rates, base_rates),
            statistics.median(cpu),
            ratio(cpu, base_cpu),
        )


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--graph", choices=GRAPHS, default="map")
    add_schedulers(parser)
    parser.set_defaults(schedulers=["upstream", "leandask", "all-logged"])
    args = parser.parse_args()
    be_quiet()
    with clusters(args.schedulers, args.workers) as started:
        results = measure(started, args.rounds, args.tasks, GRAPHS[args.graph])
    print(f"{'':16} {'tasks/s':>8} {'ratio':>16} {'cpu us/task':>12} {'ratio':>16}")
    for name, rate, speed, cpu, cost in rows(results):
        print(
            f"{name:16} {rate:8.0f} {speed[0]:8.3f} +- {speed[1]:.3f} "
            f"{cpu:12.0f} {cost[0]:8.3f} +- {cost[1]:.3f}"
        )


if __name__ == "__main__":
    main()
