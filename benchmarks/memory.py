"""Memory of a scheduler under every load that fills it: upstream's and leandask's.

Run ``python -m benchmarks.memory``; see ``--help``. Each figure is RSS of a fresh, real
scheduler process, in MiB.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.cluster import Cluster, add_schedulers, be_quiet
from benchmarks.harness.machine import machine
from benchmarks.harness.sampler import Sampler
from benchmarks.harness.trend import trend
from benchmarks.scenarios import SCENARIOS, TITLES, Scenario, Step

SETTLE = 3.0  # seconds before the first measure
FORMATS = {"growth": "{:+.2f}", "total": "{:.2f}", "slope": "{:+.2f}/h"}


def measure(scenario: Scenario, name: str, settle: float = SETTLE) -> dict[str, Any]:
    """Run a scenario on one of :data:`COMMANDS`, `settle` seconds after its start.

    Returns ``rss``, MiB at the start and after each step; ``peak``; ``steps``, the
    seconds at which the load of each began, at which it ended, and at which memory was
    measured; ``cpu_seconds`` of each step; ``samples``, seconds and MiB of the curve.
    """
    cluster = Cluster(name, scenario.n_workers)
    try:
        time.sleep(settle)
        rss, steps, cpu_seconds = [cluster.rss], [], []
        with Sampler(cluster) as sampler:
            for number, step in enumerate(scenario.steps):
                begun, cpu = sampler.now, cluster.cpu
                scenario.load(cluster, number)
                ended = sampler.now
                time.sleep(step.wait)
                rss.append(cluster.rss)
                steps.append((begun, ended, sampler.now))
                cpu_seconds.append(cluster.cpu - cpu)
        return {
            "rss": rss,
            "peak": cluster.peak,
            "steps": steps,
            "cpu_seconds": cpu_seconds,
            "samples": sampler.samples,
        }
    finally:
        cluster.close()


def slope(samples: list[tuple[float, float]], begin: float, end: float) -> float:
    """Fit a line to the curve between two times: MiB per hour, by least squares."""
    seconds, rss = zip(*(s for s in samples if begin <= s[0] <= end), strict=True)
    return trend(seconds, rss).slope * 3600


def figures(scenario: Scenario, result: dict[str, Any]) -> list[float]:
    """Return the figure of each step, of the kind of its bar: MiB, or MiB per hour."""
    values = []
    for step, (before, after), (_, ended, measured) in zip(
        scenario.steps, itertools.pairwise(result["rss"]), result["steps"], strict=True
    ):
        if step.kind == "slope":
            values.append(slope(result["samples"], ended, measured))
        else:
            values.append(after if step.kind == "total" else after - before)
    return values


def formatted(step: Step, value: float | None) -> str:
    """Write a figure or a bar of a step."""
    return "-" if value is None else FORMATS[step.kind].format(value)


def row(name: str, *cells: str) -> str:
    """Align the cells of a row: memory at the start, the steps, the peak, the time."""
    return f"  {name:12}" + "".join(f"{cell:>11}" for cell in cells)


def show(scenario: Scenario, name: str, result: dict[str, Any]) -> None:
    """Print what :func:`measure` returned for a scenario and a scheduler."""
    steps, values = scenario.steps, figures(scenario, result)
    cells = [formatted(*pair) for pair in zip(steps, values, strict=True)]
    cells += [""] * (2 - len(cells))
    bars = " ".join(f"{formatted(step, step.bar):>7}" for step in steps)
    met = all(
        step.bar is None or value <= step.bar
        for step, value in zip(steps, values, strict=True)
    )
    _, ended, measured = result["steps"][-1]
    print(
        row(
            name,
            f"{result['rss'][0]:.2f}",
            *cells,
            f"{result['peak']:.2f}",
            f"{measured:.0f} s",
        ),
        f"   {bars:15}  {'met' if met else 'NOT MET'}" if name == "leandask" else "",
        f"(over {measured - ended:.0f} s)" if steps[-1].kind == "slope" else "",
        flush=True,
    )


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scenario",
        nargs="+",
        choices=SCENARIOS,
        default=[name for name in SCENARIOS if name != "idle"],
        metavar="NAME",
        help=f"any of {', '.join(SCENARIOS)}; by default all but idle, which is long",
    )
    add_schedulers(parser)
    parser.add_argument(
        "--seconds",
        type=float,
        default=SCENARIOS["idle"].steps[-1].wait,
        help="length of the scenario idle after its first 10 minutes (%(default)s)",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--plot", type=Path, help="draw the curves: .svg or .png")
    parser.add_argument(
        "--draw",
        type=Path,
        help="measure nothing: --plot the figures in this file, written by --json",
    )
    args = parser.parse_args()
    if args.draw and not args.plot:
        parser.error("--draw needs --plot")
    return args


def main() -> None:
    """Measure and print, or only draw."""
    args = parse()
    if args.draw:
        results = json.loads(args.draw.read_text())["results"]
    else:
        idle = SCENARIOS["idle"]
        last = dataclasses.replace(idle.steps[-1], wait=args.seconds)
        scenarios = SCENARIOS | {
            "idle": dataclasses.replace(idle, steps=(*idle.steps[:-1], last))
        }
        print(", ".join(f"{name} {value}" for name, value in machine().items()))
        results = run(
            {name: scenarios[name] for name in args.scenario}, args.schedulers
        )
        if args.json:
            text = json.dumps({"machine": machine(), "results": results})
            args.json.write_text(text)
    if args.plot:
        from benchmarks.harness.plot import plot  # imports matplotlib

        plot(results, TITLES, args.plot)


def run(
    scenarios: Mapping[str, Scenario],
    schedulers: Sequence[str],
    settle: float = SETTLE,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure scenarios, each with all schedulers in turn, and print the figures.

    Returns what :func:`measure` does, by scenario and scheduler.
    """
    be_quiet()
    print(row("MiB", "start", "first", "second", "peak", "time"), "  bars")
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for scenario_name, scenario in scenarios.items():
        print(f"{scenario_name}: {scenario.title}")
        results[scenario_name] = {}
        for name in schedulers:
            results[scenario_name][name] = result = measure(scenario, name, settle)
            show(scenario, name, result)
    return results


if __name__ == "__main__":
    main()
