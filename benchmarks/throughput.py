"""Task throughput of real clusters: upstream, leandask, and leandask logging it all.

Run ``python -m benchmarks.throughput``; see ``--help``. The clusters take turns, round
by round, each time in another order; what counts is the ratio within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.cluster import Cluster, clusters
from benchmarks.memory import tiny_tasks


def measure(
    started: list[Cluster], rounds: int, tasks: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Run rounds of tiny tasks on each cluster in turn.

    Parameters
    ----------
    started : list of Cluster
    rounds : int
    tasks : int
        Tasks of each cluster in each round.

    Returns
    -------
    dict
        By cluster: tasks a second, and CPU microseconds of the scheduler a task, for
        each round.
    """
    results: dict[str, tuple[list[float], list[float]]] = {
        c.name: ([], []) for c in started
    }
    for n in range(-1, rounds):  # the first one warms up
        turn = n % len(started)
        for c in started[turn:] + started[:turn]:
            begun, cpu = time.perf_counter(), c.cpu
            tiny_tasks(c, (n + 1) * tasks, tasks, in_flight=2_000)
            seconds, cpu_seconds = time.perf_counter() - begun, c.cpu - cpu
            if n >= 0:
                results[c.name][0].append(tasks / seconds)
                results[c.name][1].append(cpu_seconds / tasks * 1e6)
    return results


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=3_000)
    parser.add_argument("--workers", type=int, default=8)
    args = parser.parse_args()
    with clusters(["upstream", "leandask", "all-logged"], args.workers) as started:
        results = measure(started, args.rounds, args.tasks)
    base, base_cpu = results["upstream"]
    print(f"{'':12} {'tasks/s':>9} {'ratio':>7} {'cpu us/task':>12} {'ratio':>7}")
    for name, (rates, cpu) in results.items():
        ratio = statistics.median(r / b for r, b in zip(rates, base, strict=True))
        cpu_ratio = statistics.median(c / b for c, b in zip(cpu, base_cpu, strict=True))
        print(
            f"{name:12} {statistics.median(rates):9.0f} {ratio:7.3f} "
            f"{statistics.median(cpu):12.0f} {cpu_ratio:7.3f}"
        )


if __name__ == "__main__":
    main()
