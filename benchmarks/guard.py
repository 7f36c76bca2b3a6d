"""Which graphs a memory limit refuses, and how near to it those come that are taken.

Run ``python -m benchmarks.guard``; see ``--help``. Each graph is sent to a scheduler
without a limit, which shows what it takes at its peak, and to one with a limit. A graph
that stayed below 85 % of the limit must be taken; one that is taken must not pass it.
What the guard has learned from it is there, too: bytes of a task, and of each byte of
the message that its graph came in.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import numpy as np
from distributed import futures_of

from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.tasks import (
    costs_of_graphs,
    increment,
    is_taking_in,
    n_tasks,
    set_limit,
)

#: MiB of the limit, and the part of it below which no graph may be refused.
LIMIT, FITS = 256, 0.85
#: Seconds until a graph must have been taken or refused.
PATIENCE = 240.0


def map_graph(client: Any, count: int) -> list[Any]:
    """A map."""
    return list(client.map(increment, range(count)))


def batches(client: Any, count: int) -> list[Any]:
    """The same, in messages of 500 tasks."""
    return list(client.map(increment, range(count), batch_size=500))


def array_graph(client: Any, count: int) -> list[Any]:
    """An array, and one that depends on it block by block."""
    array = da.ones(count // 2, chunks=1) + 1
    return list(futures_of(client.persist(array, optimize_graph=False)))


def sum_graph(client: Any, count: int) -> list[Any]:
    """A tree, of which the client wants one task."""
    total = da.ones(count // 2, chunks=1).sum(split_every=8)
    return [client.compute(total, optimize_graph=False)]


def delayed_graph(client: Any, count: int) -> list[Any]:
    """Chains of two calls."""
    inc = dask.delayed(increment)
    calls = [inc(inc(i)) for i in range(count // 2)]
    return list(client.compute(calls, optimize_graph=False))


def chain(client: Any, count: int) -> list[Any]:
    """One chain of all tasks."""
    graph: dict[Any, Any] = {("chain", 0): (increment, 0)}
    for n in range(1, count):
        graph["chain", n] = (increment, ("chain", n - 1))
    return [client.get(graph, ("chain", count - 1), sync=False)]


def fan(client: Any, count: int) -> list[Any]:
    """One task on which all others depend, and one that depends on these."""
    graph: dict[Any, Any] = {"hub": (increment, 0)}
    graph |= {("fan", n): (increment, "hub") for n in range(count - 2)}
    graph["sum"] = (sum, [("fan", n) for n in range(count - 2)])
    return [client.get(graph, "sum", sync=False)]


def data(client: Any, count: int) -> list[Any]:
    """Calls with 1 MB of data each, in the graph."""
    megabytes = (np.random.default_rng(n).bytes(10**6) for n in range(count))
    calls = [dask.delayed(len)(each) for each in megabytes]
    return list(client.compute(calls, optimize_graph=False))


def bag(client: Any, count: int) -> list[Any]:
    """A bag of one element in each partition."""
    made = db.from_sequence(range(count // 2), npartitions=count // 2).map(increment)
    return list(futures_of(client.persist(made, optimize_graph=False)))


def matrix(client: Any, count: int) -> list[Any]:
    """A matrix added to its transpose."""
    side = int((count // 3) ** 0.5)
    ones = da.ones((side, side), chunks=1)
    return list(futures_of(client.persist(ones + ones.T, optimize_graph=False)))


#: What is sent, with the numbers of tasks.
KINDS: dict[str, tuple[Callable[[Any, int], list[Any]], tuple[int, ...]]] = {
    "map": (map_graph, (60_000, 90_000, 110_000, 130_000, 200_000)),
    "batches": (batches, (60_000, 100_000, 130_000, 160_000, 200_000)),
    "array": (array_graph, (40_000, 60_000, 80_000, 110_000, 160_000)),
    "sum": (sum_graph, (40_000, 60_000, 80_000, 110_000, 160_000)),
    "delayed": (delayed_graph, (30_000, 45_000, 60_000, 80_000, 120_000)),
    "chain": (chain, (30_000, 60_000, 80_000, 100_000, 150_000)),
    "fan": (fan, (30_000, 60_000, 80_000, 100_000, 150_000)),
    "data": (data, (40, 60, 80, 120, 1000)),
    "bag": (bag, (30_000, 50_000, 70_000, 90_000, 140_000)),
    "matrix": (matrix, (40_000, 60_000, 80_000, 110_000, 160_000)),
}


def send(
    make: Callable[[Any, int], list[Any]], count: int, limit: int | None
) -> tuple[bool, float, tuple[float, float]]:
    """Send a graph to a new scheduler.

    Returns whether it was taken, the peak in MiB, and what the guard expects then.
    """
    cluster = Cluster("leandask", 0)
    try:
        cluster.ask(set_limit, limit=limit)
        futures = make(cluster.client, count)
        deadline = time.monotonic() + PATIENCE
        taken = refused = False
        while not (taken or refused) and time.monotonic() < deadline:
            time.sleep(0.2)
            refused = any(f.status == "error" for f in (futures[0], futures[-1]))
            taken = cluster.ask(n_tasks) >= len(futures) and not cluster.ask(
                is_taking_in
            )
        time.sleep(0.5)
        return not refused, cluster.peak, cluster.ask(costs_of_graphs)
    finally:
        cluster.close()


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.guard", description=__doc__
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    args = parser.parse_args()
    be_quiet()
    print(
        f"limit {LIMIT} MiB\n\n| graph | tasks | peak without | with | | task | byte |"
    )
    print("|---|---:|---:|---:|---|---:|---:|")
    wrong = 0
    for kind in args.kinds:
        make, counts = KINDS[kind]
        for count in counts:
            _, needed, _ = send(make, count, None)
            taken, peak, (task, byte) = send(make, count, LIMIT)
            outcome = "taken" if taken else "refused"
            if taken and peak > LIMIT:
                outcome += ", passed the limit"
            if not taken and needed < FITS * LIMIT:
                outcome += ", would have fitted"
            wrong += "," in outcome
            peaks = f"{needed:.0f} | {peak:.0f}"
            learned = f"{task:.0f} | {byte:.1f}"
            print(
                f"| {kind} | {count:,} | {peaks} | {outcome} | {learned} |", flush=True
            )
    print(f"\n{wrong} wrong")


if __name__ == "__main__":
    main()
