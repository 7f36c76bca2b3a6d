"""How a scheduler's memory and CPU grow with workers, clients and tasks.

Run ``python -m benchmarks.scale``; see ``--help``. Each scheduler is a process of its
own; its peers are simulated, but speak its protocol over real connections.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.cluster import Cluster, add_schedulers, be_quiet
from benchmarks.harness.machine import machine
from benchmarks.scale.swarm import Swarm
from benchmarks.scale.sweeps import QUICK, SWEEPS, Point, Sizes
from benchmarks.scale.tables import tables

SETTLE = 3.0  # seconds before the first measure


def sweep(name: str, schedulers: list[str], sizes: Sizes) -> dict[str, list[Point]]:
    """Run a sweep on fresh schedulers that take turns, each time in another order.

    Parameters
    ----------
    name : str
        Of the sweep.
    schedulers : list of str
        Out of :data:`benchmarks.harness.cluster.COMMANDS`.
    sizes : Sizes

    Returns
    -------
    dict
        The points by scheduler.
    """
    points: dict[str, list[Point]] = {scheduler: [] for scheduler in schedulers}
    with contextlib.ExitStack() as stack:
        running = []
        for scheduler in schedulers:
            cluster = Cluster(scheduler, 0)
            stack.callback(cluster.close)
            swarm = stack.enter_context(Swarm(cluster.address))
            running.append((cluster, SWEEPS[name](cluster, swarm, sizes)))
        time.sleep(SETTLE)
        while running:
            for cluster, steps in list(running):
                if (point := next(steps, None)) is None:
                    running.remove((cluster, steps))
                    check(cluster)
                else:
                    points[cluster.name].append(point)
                    print(cluster.name, point, file=sys.stderr)
            running.reverse()
    return points


def check(cluster: Cluster) -> None:
    """Refuse what was measured while the scheduler failed at something."""
    lines = cluster.log.read_text().splitlines()
    # Of a connection that is gone it logs a traceback too, at INFO.
    if errors := [line for line in lines if "ERROR" in line or "CRITICAL" in line]:
        raise RuntimeError(f"{cluster.name} has {len(errors)} errors: {errors[0]}")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what the command line asks for.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    dict
        Of the machine, and the points by sweep and scheduler.
    """
    be_quiet()
    # Two connections of each peer, here and in the scheduler: both inherit it.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sizes = QUICK if args.quick else Sizes()
    begun = time.monotonic()
    figures: dict[str, Any] = {
        "machine": machine(),
        "quick": args.quick,
        "sweeps": {},
    }
    for name in args.sweep:
        figures["sweeps"][name] = sweep(name, args.schedulers, sizes)
        figures["seconds"] = time.monotonic() - begun
        if args.json:
            args.json.write_text(json.dumps(figures))
    return figures


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        choices=SWEEPS,
        default=list(SWEEPS),
        metavar="NAME",
        help=f"of {', '.join(SWEEPS)}; by default all",
    )
    add_schedulers(parser)
    parser.add_argument("--quick", action="store_true", help="a small version")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the figures: .svg or .png")
    parser.add_argument(
        "--draw", type=Path, help="measure nothing; show what --json wrote here"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, and print tables in Markdown; each point as it comes to stderr."""
    args = parse()
    figures = json.loads(args.draw.read_text()) if args.draw else run(args)
    print("\n".join(tables(figures)))
    if args.plot:
        from benchmarks.scale.plot import plot  # imports matplotlib

        plot(figures["sweeps"], args.plot)


if __name__ == "__main__":
    main()
