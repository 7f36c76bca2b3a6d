"""What stays of ten refused graphs, sent one after the other to the same scheduler.

Run ``python -m benchmarks.refusedagain``; see ``--help``. A small graph of each kind
is taken first, so that the modules that it needs are there. Another client computes
between the graphs: what it makes meanwhile lies between their parts.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from distributed import Client, wait

from benchmarks.guard import KINDS, LIMIT
from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.tasks import increment, set_limit

#: Tasks of a graph that is taken, and seconds until memory has been given back.
FITS, SETTLE = 2000, 60.0
#: What is sent: the number of tasks by kind. A map of so many is refused unread, the
#: others while they are read.
SENT = {"map": 500_000, "sum": 160_000, "chain": 150_000, "bag": 140_000}


def wait_until_refused(futures: list[Any]) -> None:
    """Wait until all futures are erred."""
    some = futures[:: max(len(futures) // 1000, 1)]
    while any(future.status == "pending" for future in some):
        time.sleep(0.2)
    if any(future.status != "error" for future in some):
        raise RuntimeError("expected a graph that is refused")


def compute(client: Client) -> None:
    """Compute a few times 200 tasks."""
    for _ in range(5):
        client.gather(client.map(increment, range(200)))


def measure(name: str, kind: str, n_times: int) -> str:
    """Send a graph that is refused again and again; return a row of the RSS."""
    make = KINDS[kind][0]
    cluster = Cluster(name, 2)
    try:
        cluster.ask(set_limit, limit=LIMIT)
        with Client(cluster.address) as other:
            wait(make(cluster.client, FITS))
            compute(other)
            time.sleep(SETTLE)
            before = cluster.rss
            after, peaks = [], []
            for _ in range(n_times):
                wait_until_refused(make(cluster.client, SENT[kind]))
                compute(other)
                time.sleep(2)
                after.append(cluster.rss)
                peaks.append(cluster.peak)
            time.sleep(SETTLE)
            compute(other)
            rss = [after[0], after[-1], cluster.rss]
            rises = " | ".join(f"{each - before:+.0f}" for each in rss)
            return (
                f"| {name} | {kind} | {SENT[kind]:,} | {peaks[0]:.0f} "
                f"| {peaks[-1]:.0f} | {before:.0f} | {rises} |"
            )
    finally:
        cluster.close()


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.refusedagain", description=__doc__
    )
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", choices=SENT, default=[*SENT])
    parser.add_argument(
        "--schedulers", nargs="+", default=["leandask", "leandask-malloc"]
    )
    args = parser.parse_args()
    be_quiet()
    print(
        f"| | graph | tasks | peak of the first, MiB | of {args.times} | before "
        f"| after the first | after {args.times} | a minute later |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in args.schedulers:
        for kind in args.kinds:
            print(measure(name, kind, args.times), flush=True)


if __name__ == "__main__":
    main()
