"""Memory of a scheduler as tasks pass through it: upstream's and leandask's.

Run ``python -m benchmarks.memory``; see ``--help``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import deque
from collections.abc import Callable
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from distributed import Future, wait

from benchmarks.cluster import Cluster, clusters


def increment(x: int) -> int:
    """Return x + 1: a task that takes no time."""
    return x + 1


def tiny_tasks(cluster: Cluster, start: int, count: int, in_flight: int) -> None:
    """Run tasks of no duration in batches, of which none is kept.

    Parameters
    ----------
    cluster : Cluster
    start : int
        Tasks run before: no key comes twice.
    count : int
        Tasks to run.
    in_flight : int
        Tasks that the scheduler knows at one time: five batches.
    """
    size = in_flight // 5
    batches: deque[list[Future]] = deque()
    # To wait with another client than the current one is slow.
    with cluster.client.as_current():
        for first in range(start, start + count, size):
            if len(batches) == 5:
                wait(batches.popleft())
            numbers = range(first, min(first + size, start + count))
            batches.append(cluster.client.map(increment, numbers))
        wait(list(chain.from_iterable(batches)))


#: What is measured, by name: a function that runs so many tasks, after so many others.
SCENARIOS: dict[str, Callable[[Cluster, int, int, int], None]] = {
    "tiny-tasks": tiny_tasks
}


def measure(args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Run a scenario on both schedulers in turns, and print a row after each step.

    Parameters
    ----------
    args : argparse.Namespace
        As :func:`main` parses them.

    Returns
    -------
    dict
        By scheduler: its memory in MiB at the start and after each step, and the
        seconds of wall time and of CPU time that each step took.
    """
    run = SCENARIOS[args.scenario]
    with clusters(args.schedulers, args.workers) as started:
        result: dict[str, dict[str, list[float]]] = {
            c.name: {"rss_mib": [c.rss], "seconds": [], "cpu_seconds": []}
            for c in started
        }
        print(f"{'tasks':>9}", *(f"{f'{c.name}, MiB':>15}" for c in started))
        print(f"{'start':>9}", *(f"{c.rss:15.1f}" for c in started), flush=True)
        for tasks in range(0, args.tasks, args.step):
            for c in started:
                begun, cpu = time.perf_counter(), c.cpu
                run(c, tasks, args.step, args.in_flight)
                result[c.name]["seconds"].append(time.perf_counter() - begun)
                result[c.name]["cpu_seconds"].append(c.cpu - cpu)
                result[c.name]["rss_mib"].append(c.rss)
            row = (f"{result[c.name]['rss_mib'][-1]:15.1f}" for c in started)
            print(f"{tasks + args.step:9}", *row, flush=True)
    return result


def summarise(result: dict[str, dict[str, list[float]]]) -> None:
    """Print each scheduler's growth and speed, and the ratios to the first.

    Parameters
    ----------
    result : dict
        What :func:`measure` returns.
    """
    growths = [r["rss_mib"][-1] - r["rss_mib"][0] for r in result.values()]
    seconds = [sum(r["seconds"]) for r in result.values()]
    cpu = [sum(r["cpu_seconds"]) for r in result.values()]
    rows = [("growth", growths), ("seconds", seconds), ("cpu s", cpu)]
    for name, values in rows:
        ratios = (f" ratio {v / values[0]:.2f}" for v in values[1:])
        print(f"{name:>9}", *(f"{v:15.1f}" for v in values), *ratios)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="tiny-tasks")
    parser.add_argument("--schedulers", nargs="+", default=["upstream", "leandask"])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--step", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--in-flight", type=int, default=5_000)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    packages = ("leandask", "distributed", "dask")
    machine = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **{name: version(name) for name in packages},
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    result = measure(args)
    summarise(result)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, **result}, indent=2))


if __name__ == "__main__":
    main()
