"""What live tasks take of memory and CPU, in upstream's scheduler and in ours.

Run ``python -m benchmarks.present``; see ``--help``. Each case runs in new scheduler
processes, which take turns, round by round. The ratio is of the medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
from distributed import wait

from benchmarks.harness.cluster import MIB, Cluster, be_quiet
from benchmarks.harness.machine import machine
from benchmarks.scenarios import wait_until, wait_until_empty
from benchmarks.tasks import (
    collections_of,
    estimate,
    fail,
    increment,
    n_live_states,
    n_tasks,
    settle,
    stop_collecting,
    watch_collections,
)

#: Seconds after which leandask has given memory back: two rounds of housekeeping.
GIVEN_BACK = 25.0
#: Tasks that come first.
FIRST = 100
#: Measured values by their name.
Point = dict[str, float]
#: Puts about so many tasks on a scheduler; returns what holds them.
Load = Callable[[Cluster, int], Any]


class Case(NamedTuple):
    """What is measured, with how many tasks."""

    measure: Callable[[Cluster, int], Point]
    n_tasks: int
    #: Ratios to upstream's that leandask must reach, and MiB where a value is one.
    bars: dict[str, float]
    n_workers: int = 0
    #: Schedulers of COMMANDS that are measured.
    names: tuple[str, ...] = ("upstream", "leandask")


def map_graph(cluster: Cluster, count: int) -> Any:
    """Return the futures of a map."""
    return cluster.client.map(increment, range(count))


def array_graph(cluster: Cluster, count: int) -> Any:
    """Return an array of blocks of ones, each with one task that depends on it."""
    array = da.ones(count // 2, chunks=1) + 1
    return cluster.client.persist(array, optimize_graph=False)


def delayed_graph(cluster: Cluster, count: int) -> Any:
    """Return chains of two delayed calls."""
    inc = dask.delayed(increment)
    calls = [inc(inc(i)) for i in range(count // 2)]
    return cluster.client.compute(calls, optimize_graph=False)


def dataframe_graph(cluster: Cluster, count: int) -> Any:
    """Return a shuffle by p2p, and a reduction by a tree."""
    from dask.datasets import timeseries

    end = np.datetime64("2000-01-01") + count // 4
    frame = timeseries("2000-01-01", str(end), freq="1D", partition_freq="1D")
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        total = frame.shuffle("id").x.sum(split_every=8)
    return cluster.client.compute(total, optimize_graph=False)


def pending(load: Load) -> Callable[[Cluster, int], Point]:
    """Return a measurement of tasks that wait, as there are no workers."""

    def measure(cluster: Cluster, count: int) -> Point:
        _bring_in(cluster, lambda n: load(cluster, n))
        cluster.ask(watch_collections)
        rss, cpu = cluster.rss, cluster.cpu
        held = load(cluster, count)
        wait_until(lambda: cluster.ask(n_tasks) >= count // 2)  # all come at once
        used = cluster.cpu - cpu
        count = cluster.ask(n_tasks)
        seconds, longest = cluster.ask(collections_of)
        peak, taken = cluster.peak - rss, cluster.rss - rss
        cluster.ask(settle)
        settled = cluster.rss - rss
        cluster.kept = held
        return {
            "bytes": taken * MIB / count,
            "settled bytes": settled * MIB / count,
            "estimated part": cluster.ask(estimate) / MIB / settled,
            "peak bytes": peak * MIB / count,
            "cpu us": used / count * 1e6,
            "gc share": seconds / used,
            "longest gc ms": longest * 1e3,
        }

    return measure


def _bring_in(cluster: Cluster, load: Callable[[int], Any]) -> None:
    """Import what tasks of a kind import: it is not what each of them takes."""
    held = load(FIRST)
    wait_until(lambda: cluster.ask(n_tasks) >= FIRST // 2)
    del held
    wait_until_empty(cluster)
    time.sleep(1)  # leandask looks at its memory every half of a second
    cluster.ask(settle)


def in_memory(cluster: Cluster, count: int) -> Point:
    """Measure tasks whose results are on workers."""
    return _done(cluster, cluster.client.map, increment, count)


def erred(cluster: Cluster, count: int) -> Point:
    """Measure tasks that have raised."""
    return _done(cluster, cluster.client.map, fail, count)


def _done(
    cluster: Cluster, submit: Callable[..., Any], function: Any, count: int
) -> Point:
    _bring_in(cluster, lambda n: submit(function, range(n)))
    rss = cluster.rss
    cluster.kept = submit(function, range(100, 100 + count))
    wait(cluster.kept)
    cluster.ask(settle)
    taken = (cluster.rss - rss) * MIB
    return {"bytes": taken / count, "estimated part": cluster.ask(estimate) / taken}


def released(batches: int) -> Callable[[Cluster, int], Point]:
    """Return a measurement of what stays after tasks were released."""

    def measure(cluster: Cluster, count: int) -> Point:
        size = count // batches
        futures = []
        for first in range(0, count, size):
            futures += cluster.client.map(increment, range(first, first + size))
            n_sent = len(futures)
            wait_until(lambda n=n_sent: cluster.ask(n_tasks) == n)  # type: ignore[misc]
        futures.clear()
        wait_until_empty(cluster)
        time.sleep(GIVEN_BACK)
        cluster.ask(settle)
        return {"RSS MiB": cluster.rss}

    return measure


def freed(cluster: Cluster, count: int) -> Point:
    """Count tasks alive after their release, while no garbage is collected."""
    cluster.ask(stop_collecting)
    held = array_graph(cluster, count)
    wait_until(lambda: cluster.ask(n_tasks) == count)
    del held
    wait_until_empty(cluster)
    return {"alive": cluster.ask(n_live_states)}


def started(cluster: Cluster, count: int) -> Point:
    """Measure a scheduler that has one client."""
    return {"RSS MiB": cluster.rss}


#: By name.
CASES = {
    "map": Case(
        pending(map_graph),
        300_000,
        {"bytes": 0.42, "peak bytes": 0.62, "cpu us": 0.95},
    ),
    "array": Case(
        pending(array_graph),
        300_000,
        {
            "bytes": 0.65,
            "peak bytes": 0.80,
            "cpu us": 1.0,
            "gc share": 0.6,
            "longest gc ms": 0.7,
        },
    ),
    "delayed": Case(pending(delayed_graph), 50_000, {"bytes": 0.70}),
    "dataframe": Case(pending(dataframe_graph), 50_000, {"bytes": 0.75}),
    "memory": Case(in_memory, 50_000, {"bytes": 0.45}, 4),
    "erred": Case(erred, 5_000, {"bytes": 0.25}, 4),
    "released at once": Case(released(1), 1_000_000, {"RSS MiB": 165}),
    "released in batches": Case(
        released(20),
        1_000_000,
        {"RSS MiB": 190},
        names=("upstream", "leandask", "leandask-malloc"),
    ),
    "freed": Case(freed, 100_000, {"alive": 10}),
    "start": Case(started, 0, {"RSS MiB": 47}),
}


def measure(case: Case, rounds: int, part: float) -> dict[str, list[Point]]:
    """Run the rounds of a case; return the points by scheduler."""
    points: dict[str, list[Point]] = {name: [] for name in case.names}
    for number in range(rounds):
        turn = number % len(case.names)
        for name in case.names[turn:] + case.names[:turn]:
            cluster = Cluster(name, case.n_workers)
            try:
                point = case.measure(cluster, int(case.n_tasks * part))
            finally:
                cluster.kept = None
                cluster.close()
            points[name].append(point)
    return points


def rows(name: str, case: Case, points: dict[str, list[Point]]) -> list[str]:
    """Return the rows of a case, in Markdown."""
    lines = []
    for value in next(iter(points.values()))[0]:
        medians = {
            scheduler: statistics.median(point[value] for point in of)
            for scheduler, of in points.items()
        }
        base, ours, *others = medians.values()
        ratio = f"{ours / base:.2f}" if base else "–"
        spread = ", ".join(f"{p[value]:.4g}" for p in points["leandask"])
        lines.append(
            f"| {name}: {value} | {base:.4g} | {ours:.4g} | {ratio} | "
            f"{case.bars.get(value, '')} | {spread} | "
            f"{', '.join(f'{each:.4g}' for each in others)} |"
        )
    return lines


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.present", description=__doc__
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--part", type=float, default=1.0, help="of the tasks of each case"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    args = parser.parse_args()
    be_quiet()
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print("\n| case | upstream | leandask | ratio | bar | rounds | others |")
    print("|---|---:|---:|---:|---:|---|---|")
    figures = {}
    for name in args.cases:
        case = CASES[name]
        figures[name] = measure(case, args.rounds, args.part)
        print("\n".join(rows(name, case, figures[name])), flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
