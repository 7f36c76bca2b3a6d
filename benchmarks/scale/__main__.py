"""How a scheduler's memory and CPU grow with workers, clients and tasks.

Run ``python -m benchmarks.scale``; see ``--help``. Each scheduler is a process of its
own; its peers are simulated, but speak its protocol over real connections.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
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
    """Run a sweep on new schedulers, which take turns in alternating order.

    Returns the points by scheduler.
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
    """Raise if the scheduler logged an error, as its figures are then worthless."""
    lines = cluster.log.read_text().splitlines()
    # A traceback alone is no error: it logs one at INFO when a connection is gone.
    if errors := [line for line in lines if "ERROR" in line or "CRITICAL" in line]:
        raise RuntimeError(f"{cluster.name} has {len(errors)} errors: {errors[0]}")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what the command line asks for: points by sweep and scheduler."""
    be_quiet()
    # Each peer has two connections; the processes of both ends inherit the limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sizes = QUICK if args.quick else Sizes()
    asked = {"workers": args.workers, "tasks": args.tasks}
    sizes = dataclasses.replace(
        sizes, **{name: tuple(sorted(n)) for name, n in asked.items() if n}
    )
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
        help=f"any of {', '.join(SWEEPS)}; by default all",
    )
    add_schedulers(parser)
    for peers in ("workers", "tasks"):
        text = f"numbers of {peers} to measure at"
        parser.add_argument(f"--{peers}", type=int, nargs="+", metavar="N", help=text)
    parser.add_argument("--quick", action="store_true", help="less, takes a minute")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, help="draw the figures: .svg or .png")
    parser.add_argument(
        "--draw",
        type=Path,
        help="measure nothing: show the figures in this file, written by --json",
    )
    return parser.parse_args()


def main() -> None:
    """Measure, and print tables in Markdown, and each point to stderr as it comes."""
    args = parse()
    figures = json.loads(args.draw.read_text()) if args.draw else run(args)
    print("\n".join(tables(figures)))
    if args.plot:
        from benchmarks.scale.plot import plot  # imports matplotlib

        plot(figures["sweeps"], args.plot)


if __name__ == "__main__":
    main()
