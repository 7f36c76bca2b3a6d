"""Memory of a scheduler under every load that fills it: upstream's and leandask's.

Run ``python -m benchmarks.memory``; see ``--help``. Each figure is RSS of a fresh, real
scheduler process, in MiB.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import platform
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.scenarios import SCENARIOS, Scenario, steps

SETTLE = 3.0  # seconds before a measure: what came late may arrive
SAMPLE = 0.25  # seconds between two samples of the curve


class Sampler(threading.Thread):
    """Samples the memory of a scheduler, for the curve.

    Parameters
    ----------
    cluster : Cluster
    """

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.cluster = cluster
        #: Seconds since the start, and MiB.
        self.samples: list[tuple[float, float]] = []
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        """Sample until it is stopped."""
        begun = time.monotonic()
        while not self._stopped.wait(SAMPLE):
            seconds = round(time.monotonic() - begun, 2)
            self.samples.append((seconds, round(self.cluster.rss, 2)))

    def stop(self) -> list[tuple[float, float]]:
        """Stop, and give the samples."""
        self._stopped.set()
        self.join()
        return self.samples


def measure(scenario: Scenario, name: str) -> dict[str, Any]:
    """Run a scenario on one scheduler.

    Parameters
    ----------
    scenario : Scenario
    name : str
        Of the scheduler's command.

    Returns
    -------
    dict
        ``rss``: MiB at the start and after each step; ``peak``; ``seconds`` and
        ``cpu_seconds`` of each step; ``samples`` of the curve.
    """
    cluster = Cluster(name, scenario.n_workers)
    try:
        time.sleep(SETTLE)
        sampler = Sampler(cluster)
        result: dict[str, Any] = {
            "rss": [cluster.rss],
            "seconds": [],
            "cpu_seconds": [],
        }
        for step in steps(scenario):
            begun, cpu = time.monotonic(), cluster.cpu
            scenario.run(cluster, step)
            result["seconds"].append(time.monotonic() - begun)
            result["cpu_seconds"].append(cluster.cpu - cpu)
            time.sleep(SETTLE)
            result["rss"].append(cluster.rss)
        return result | {"peak": cluster.peak, "samples": sampler.stop()}
    finally:
        cluster.close()


def figures(scenario: Scenario, result: dict[str, Any]) -> list[float]:
    """Give what the bars of a scenario are for, in MiB.

    Parameters
    ----------
    scenario : Scenario
    result : dict
        What :func:`measure` returns.

    Returns
    -------
    list of float
        Of each step: the growth, or for the last the memory itself.
    """
    rss = result["rss"]
    values = [after - before for before, after in itertools.pairwise(rss)]
    if scenario.is_absolute:
        values[-1] = rss[-1]
    return values


def show(scenario: Scenario, results: dict[str, dict[str, Any]]) -> None:
    """Print a scenario's figures, a row for each step.

    Parameters
    ----------
    scenario : Scenario
    results : dict
        What :func:`measure` returns, by scheduler.
    """
    by_name = {name: figures(scenario, result) for name, result in results.items()}
    for step in steps(scenario):
        bar = scenario.bars[step]
        is_growth = not (scenario.is_absolute and step == len(scenario.bars) - 1)
        what = scenario.title if step == 0 else "  and the next step"
        shown = "".join(
            f"{values[step]:{'+' if is_growth else ''}11.1f}"
            for values in by_name.values()
        )
        met = ""
        if bar is not None and "leandask" in by_name:
            met = "met" if by_name["leandask"][step] <= bar else "NOT MET"
        print(f"{what:58}{shown}{'' if bar is None else bar:>7} {met}", flush=True)


def plot(results: dict[str, dict[str, dict[str, Any]]], file: Path) -> None:
    """Draw the curves of all scenarios.

    Parameters
    ----------
    results : dict
        What :func:`measure` returns, by scenario and scheduler.
    file : pathlib.Path
        To write; its suffix tells the format.
    """
    import matplotlib  # of use here only

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, axes = pyplot.subplots(
        rows,
        columns,
        figsize=(4.2 * columns, 2.7 * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(results) :]:
        axis.set_visible(False)
    for axis, (name, by_scheduler) in zip(axes.flat, results.items(), strict=False):
        for color, (scheduler, result) in zip(
            ("#d95f02", "#1b6ca8", "#777777"), by_scheduler.items(), strict=False
        ):
            seconds, rss = zip(*result["samples"], strict=True)
            axis.plot(seconds, rss, color=color, label=scheduler, linewidth=1.5)
        axis.set_title(SCENARIOS[name].title, fontsize=8)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("RSS of the scheduler's process, MiB", fontsize=9)
    axes.flat[0].legend(fontsize=8, loc="lower right")
    figure.savefig(file, dpi=110)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scenario",
        nargs="+",
        choices=SCENARIOS,
        default=[name for name in SCENARIOS if name != "idle"],
        help="by default all but idle, which takes an hour",
    )
    parser.add_argument("--schedulers", nargs="+", default=["upstream", "leandask"])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the curves: .svg or .png")
    parser.add_argument("--draw", type=Path, help="only draw what --json wrote here")
    args = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # those that go
    if args.draw:
        plot(json.loads(args.draw.read_text())["results"], args.plot)
        return
    packages = ("leandask", "distributed", "dask")
    machine = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        **{name: version(name) for name in packages},
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'MiB':58}", *(f"{name:>10}" for name in args.schedulers), f"{'bar':>7}")
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for scenario in args.scenario:
        results[scenario] = {
            name: measure(SCENARIOS[scenario], name) for name in args.schedulers
        }
        show(SCENARIOS[scenario], results[scenario])
        if args.json:
            text = json.dumps({"machine": machine, "results": results})
            args.json.write_text(text)
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
