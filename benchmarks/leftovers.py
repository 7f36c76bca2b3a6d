"""Bytes that a scheduler keeps of what is gone: tasks, names, workers, clients.

Run ``python -m benchmarks.leftovers``: prints a table in Markdown. Clients use short
names of each kind once, and leave. Bounds of 1000 entries are reached before.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from distributed import Client

from benchmarks.harness.cluster import Cluster, add_schedulers, be_quiet
from benchmarks.harness.inuse import in_use
from benchmarks.names.inputs import LENGTH
from benchmarks.names.loads import LOADS
from benchmarks.scenarios import wait_until_empty

#: Not one that newer releases of ``distributed`` lack, nor one that asks DNS servers.
KINDS = [kind for kind in LOADS if kind not in ("published", "restrictions")]
#: Characters of a name.
CHARACTERS = 40


async def use(address: str, kind: str, numbers: Sequence[int]) -> None:
    """Use some names with a client of their own."""
    LENGTH.set(CHARACTERS)
    async with Client(address, asynchronous=True, set_as_default=False) as client:
        with client.as_current():
            await LOADS[kind](client, address, numbers)


def measure(scheduler: str, kind: str, count: int) -> float:
    """Return the bytes that a name adds, after as many others."""
    cluster = Cluster(scheduler, 1)
    try:
        sizes = []
        for numbers in (range(count), range(count, 2 * count)):
            cluster.client.sync(use, cluster.address, kind, numbers)
            wait_until_empty(cluster)
            sizes.append(int(cluster.ask(in_use)))
        return (sizes[1] - sizes[0]) / count
    finally:
        cluster.close()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.leftovers", description=__doc__
    )
    add_schedulers(parser)
    parser.add_argument("--count", type=int, default=1000, help="names of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    be_quiet()
    print("| bytes of each |", *(f"{name} |" for name in args.schedulers))
    print("|---|" + "---:|" * len(args.schedulers))
    for kind in args.kinds:
        left = (measure(name, kind, args.count) for name in args.schedulers)
        title = str(LOADS[kind].__doc__).rstrip(".")
        print(f"| {title} |", *(f"{nbytes:.0f} |" for nbytes in left), flush=True)


if __name__ == "__main__":
    main()
