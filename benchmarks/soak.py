"""Hours of mixed load: the slope of memory once all histories are full.

Run ``python -m benchmarks.soak``; see ``--help``. A process for each scheduler puts
rounds of every kind of load on it, all at the same time. Memory is measured after each
round, when no task and no page is left.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.harness.cluster import Cluster, add_schedulers, be_quiet
from benchmarks.harness.machine import machine
from benchmarks.harness.sampler import Sampler
from benchmarks.harness.trend import Trend, trend
from benchmarks.rounds import N_WORKERS, run_round
from benchmarks.scenarios import wait_until_closed
from benchmarks.tasks import n_transitions

#: Seconds since the start, MiB and transitions at the end of a round.
Round = tuple[float, float, int]


def soak(name: str, seconds: float) -> dict[str, Any]:
    """Run rounds on a new scheduler, the last of which begins before so many seconds.

    Returns ``rounds``, a :data:`Round` each, and ``samples``, seconds and MiB of the
    curve.
    """
    be_quiet()
    cluster = Cluster(name, N_WORKERS)
    try:
        rounds: list[Round] = []
        with Sampler(cluster, interval=1.0) as sampler:
            while sampler.now < seconds:
                run_round(cluster, len(rounds))
                # Otherwise the pages of a random number of rounds are open at the same
                # time, and the peak rises forever.
                wait_until_closed(cluster)
                rounds.append((sampler.now, cluster.rss, cluster.ask(n_transitions)))
                time.sleep(0.2)
        return {"rounds": rounds, "samples": sampler.samples}
    finally:
        cluster.close()


def second_half(rounds: list[Round]) -> list[Round]:
    """Return the rounds that ended in the second half of the time."""
    return [r for r in rounds if r[0] >= rounds[-1][0] / 2]


def slope(rounds: list[Round]) -> Trend:
    """Fit the memory of rounds, in MiB per hour."""
    return trend([r[0] / 3600 for r in rounds], [r[1] for r in rounds])


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print a table in Markdown of what :func:`soak` returned, by scheduler."""
    print("| | rounds | transitions | MiB after the first, half, last | slope, MiB/h |")
    print("|---|---|---|---|---|")
    for name, result in results.items():
        rounds = result["rounds"]
        half = second_half(rounds)
        growth, margin = slope(half)
        rss = ", ".join(f"{r[1]:.1f}" for r in (rounds[0], half[0], rounds[-1]))
        print(
            f"| {name} | {len(rounds)} | {rounds[-1][2]:,} | {rss} | "
            f"{growth:+.2f} ± {margin:.2f} |"
        )


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=7200.0)
    add_schedulers(parser)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, help="draw the curves: .svg or .png")
    args = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(args.schedulers), spawn) as pool:
        futures = {n: pool.submit(soak, n, args.seconds) for n in args.schedulers}
        results = {name: future.result() for name, future in futures.items()}
    show(results)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "results": results}))
    if args.plot:
        from benchmarks.harness.plot import plot_soak  # imports matplotlib

        plot_soak(results, args.plot)


if __name__ == "__main__":
    main()
