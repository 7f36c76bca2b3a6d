"""Measures memory and CPU in every scenario, throughput, and the stream of records.

Compares three schedulers, each a process of its own, in turns: upstream's with its
defaults, upstream's with the settings that are advised where memory is short
(``recommended.yaml``), and leandask's. Takes half an hour to an hour and a half; with
``--quick`` it measures less, in less than five minutes. The tables are Markdown.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import memory, stream, throughput
from benchmarks.harness.cluster import clusters
from benchmarks.harness.machine import machine
from benchmarks.harness.plot import plot
from benchmarks.scenarios import QUICK, SCENARIOS, TITLES, Scenario

COMPARED = ["upstream", "recommended", "leandask"]


def row_of(cells: list[str]) -> str:
    """Write a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def ratios_to(ours: float, *bases: float) -> list[str]:
    """Write leandask's figure as a part of each of the others."""
    return [f"{ours / max(base, 0.01):.2f}" for base in bases]


def table_of_memory(
    scenarios: dict[str, Scenario], results: dict[str, dict[str, dict[str, Any]]]
) -> list[str]:
    """Write a row for each step of each scenario, with ratios."""
    head = ["RSS, MiB", *COMPARED, "of upstream", "of recommended"]
    lines = [row_of(head), row_of(["---"] * len(head))]
    for name, by_scheduler in results.items():
        scenario = scenarios[name]
        values = [memory.figures(scenario, by_scheduler[n]) for n in COMPARED]
        for title, step, *row in zip(
            scenario.step_titles, scenario.steps, *values, strict=True
        ):
            upstream, recommended, ours = row
            cells = [memory.formatted(step, value) for value in row]
            cells += ratios_to(ours, upstream, recommended)
            lines.append(row_of([f"`{name}`: {title}", *cells]))
    return lines


def table_of_cpu(results: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Write a row for each scenario: seconds of CPU of all its steps, with ratios."""
    head = ["CPU of the scheduler, s", *COMPARED, "of upstream", "of recommended"]
    lines = [row_of(head), row_of(["---"] * len(head))]
    for name, by_scheduler in results.items():
        values = [sum(by_scheduler[n]["cpu_seconds"]) for n in COMPARED]
        *bases, ours = values
        cells = [f"{value:.1f}" for value in values] + ratios_to(ours, *bases)
        lines.append(row_of([f"`{name}`", *cells]))
    return lines


def table_of_throughput(results: throughput.Results) -> list[str]:
    """Write a row for each scheduler, with ratios to upstream and standard errors."""
    head = ["throughput", "tasks/s", "of upstream", "CPU, µs/task", "of upstream"]
    lines = [row_of(head), row_of(["---"] * len(head))]
    for name, rate, speed, cpu, cost in throughput.rows(results):
        ratios = [f"{mean:.3f} ± {error:.3f}" for mean, error in (speed, cost)]
        cells = [name, f"{rate:.0f}", ratios[0], f"{cpu:.0f}", ratios[1]]
        lines.append(row_of(cells))
    return lines


def table_of_stream(rows: list[tuple[str, float, str]]) -> list[str]:
    """Write a row for each figure, with its bar."""
    lines = [row_of(["stream of records", "leandask", "bar"]), row_of(["---"] * 3)]
    return lines + [row_of([name, f"{value:.2f}", bar]) for name, value, bar in rows]


def measure(
    scenarios: dict[str, Scenario],
    rounds: int,
    stream_rounds: int,
    count: int,
    tasks: int = 2_000,
    settle: float = memory.SETTLE,
) -> dict[str, Any]:
    """Measure everything, one thing after the other, and return it as JSON values.

    Memory is measured in the scenarios, each ``settle`` seconds after the scheduler's
    start; throughput in ``rounds`` of ``tasks`` each; the stream in ``stream_rounds``
    of ``count`` transitions each. ``benchmarks.memory --draw`` reads ``results``.
    """
    results: dict[str, Any] = {"machine": machine()}
    results["results"] = memory.run(scenarios, COMPARED, settle)
    print("throughput")
    with clusters([*COMPARED, "all-logged"], n_workers=8) as started:
        results["throughput"] = throughput.measure(started, rounds, tasks)
    print("stream")
    # It changes the logging and the garbage collection of its process.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        results["stream"] = pool.submit(stream.run, stream_rounds, count).result()
    return results


def tables(scenarios: dict[str, Scenario], results: dict[str, Any]) -> str:
    """Write what :func:`measure` returns as Markdown."""
    versions = ", ".join(f"{name} {value}" for name, value in machine().items())
    parts = [
        [versions],
        table_of_memory(scenarios, results["results"]),
        table_of_cpu(results["results"]),
        table_of_throughput(results["throughput"]),
        table_of_stream(results["stream"]),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def main() -> None:
    """Parse the command line, measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less, takes 5 minutes")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("benchmark-results"),
        help="for results.json, table.md and memory.png (default: %(default)s)",
    )
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    if args.quick:
        scenarios = QUICK
        results = measure(QUICK, rounds=6, stream_rounds=3, count=50_000)
    else:
        scenarios = {n: s for n, s in SCENARIOS.items() if n != "idle"}
        results = measure(scenarios, rounds=30, stream_rounds=7, count=200_000)
    table = tables(scenarios, results)
    print(f"\n{table}\n\n{(time.monotonic() - begun) / 60:.1f} minutes")
    args.folder.joinpath("table.md").write_text(f"{table}\n")
    args.folder.joinpath("results.json").write_text(json.dumps(results))
    plot(results["results"], TITLES, args.folder / "memory.png")


if __name__ == "__main__":
    main()
