"""What a scheduler holds of each worker and each client, by who allocated it.

Run ``python -m benchmarks.scale.objects``: prints tables in Markdown. Peers are
simulated, but connect as real ones do. RSS is measured without tracing.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from typing import Any

from benchmarks.harness.cluster import MIB, Cluster, add_schedulers, be_quiet
from benchmarks.scale.swarm import Swarm
from benchmarks.scenarios import wait_until
from benchmarks.tasks import estimate, n_peers, settle

KINDS = ["workers", "clients"]
WARM_UP = 100  # peers that connect before any is measured
SETTLE = 10.0  # seconds of heartbeats after all have connected

#: Rows of a table: what is in it, and the files that allocate it.
ROWS = {
    "messages as they were read: metrics, versions, addresses": "protocol/core.py",
    "sets of work stealing": "distributed/stealing.py|peers/levels.py",
    "buffers of the connections": "tornado/iostream.py|_compat/connections.py",
    "connections": "distributed/comm/|tornado/tcpserver.py|/socket.py|/weakref",
    "state of the worker or client, coroutines": "distributed/|toolz/",
    "event loop: tasks, futures, callbacks": "asyncio|tornado/|selectors.py",
    "topics, logs and samples of leandask": "leandask/",
    "frames that logging looks at": "logging/",
}


def trace(dask_scheduler: Any = None) -> None:
    """Trace allocations; runs on the scheduler, as the following does."""
    import tracemalloc

    tracemalloc.start()


def traced(dask_scheduler: Any = None) -> dict[str, int]:
    """Return the bytes that each file has allocated."""
    import gc
    import tracemalloc

    gc.collect()
    statistics = tracemalloc.take_snapshot().statistics("filename")
    return {each.traceback[0].filename: each.size for each in statistics}


def measure(name: str, kind: str, count: int) -> Counter[str]:
    """Return the bytes of a peer by row, of all rows, of RSS, and as estimated."""
    cluster = Cluster(name, 0)
    try:
        with Swarm(cluster.address) as swarm:
            own, connected = cluster.ask(n_peers), 0

            def connect(more: int) -> None:
                nonlocal connected
                connected += more
                swarm.ask(f"have_{kind}", connected)
                wait_until(lambda: cluster.ask(n_peers) == connected + own)
                time.sleep(SETTLE)
                cluster.ask(settle)

            connect(WARM_UP)
            rss, estimated = -cluster.rss, -cluster.ask(estimate)
            connect(count)
            rss += cluster.rss
            estimated += cluster.ask(estimate)
            cluster.ask(trace)
            time.sleep(SETTLE)  # what heartbeats replace is traced then
            before = cluster.ask(traced)
            connect(count)
            sizes = Counter(cluster.ask(traced))
    finally:
        cluster.close()
    sizes.subtract(before)
    rows = by_row(sizes)
    rows["all"] = rows.total()
    rows["RSS"] = int(rss * MIB)
    rows["estimate in the report"] = estimated
    return Counter({row: size // count for row, size in rows.items()})


def by_row(sizes: Counter[str]) -> Counter[str]:
    """Add the bytes of files to those of their row."""
    rows: Counter[str] = Counter()
    for file, size in sizes.items():
        names = (row for row, files in ROWS.items() if re.search(files, file))
        rows[next(names, "others")] += size
    return rows


def main() -> None:
    """Measure, and print a table of each kind."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.objects", description=__doc__
    )
    add_schedulers(parser)
    parser.add_argument("--count", type=int, default=300, help="peers of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    be_quiet()
    for kind in args.kinds:
        found = {name: measure(name, kind, args.count) for name in args.schedulers}
        title = f"bytes of each of {args.count} {kind}"
        print(f"| {title} |", *(f"{name} |" for name in args.schedulers))
        print("|---|" + "---:|" * len(args.schedulers))
        for row in [*ROWS, "others", "all", "RSS", "estimate in the report"]:
            print(f"| {row} |", *(f"{found[n][row]} |" for n in args.schedulers))


if __name__ == "__main__":
    main()
