"""Curves of what was measured: a panel for each scenario, a line for each scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.scenarios import QUICK, SCENARIOS

COLORS = {
    "upstream": "#d95f02",
    "recommended": "#e6ab02",
    "leandask": "#1b6ca8",
    "all-logged": "#777777",
}
TITLES = {name: scenario.title for name, scenario in (SCENARIOS | QUICK).items()}


def plot(results: dict[str, dict[str, dict[str, Any]]], file: Path) -> None:
    """Draw the curves of all scenarios, the start of each step with a dot.

    Parameters
    ----------
    results : dict
        What :func:`benchmarks.memory.measure` returns, by scenario and scheduler.
    file : pathlib.Path
        To write; its suffix tells the format.
    """
    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    size = (4.2 * columns, 2.7 * rows + 0.5)  # inches
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(results) :]:
        axis.set_visible(False)
    handles: dict[str, Any] = {}
    for axis, (name, by_scheduler) in zip(axes.flat, results.items(), strict=False):
        for scheduler, result in by_scheduler.items():
            seconds, rss = zip(*result["samples"], strict=True)
            begun = {
                next(i for i, second in enumerate(seconds) if second >= step[0])
                for step in result["steps"]
            }
            (handles[scheduler],) = axis.plot(
                seconds,
                rss,
                color=COLORS[scheduler],
                linewidth=1.5,
                marker="o",
                markersize=4,
                markevery=sorted(begun),
            )
        axis.set_title(f"{name}\n{TITLES[name]}", fontsize=8)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    figure.supxlabel("seconds (dots: a step begins)", fontsize=9)
    figure.supylabel("RSS of the scheduler's process, MiB", fontsize=9)
    figure.legend(
        handles.values(),
        handles,
        loc="outside upper center",
        ncols=len(handles),
        fontsize=9,
        frameon=False,
    )
    figure.savefig(file)


def plot_soak(results: dict[str, dict[str, Any]], file: Path) -> None:
    """Draw the curves of a soak.

    Parameters
    ----------
    results : dict
        What :func:`benchmarks.soak.soak` returns, by scheduler.
    file : pathlib.Path
        To write; its suffix tells the format.
    """
    figure = Figure(figsize=(7, 3.5), dpi=110, layout="constrained")
    axis = figure.subplots()
    for scheduler, result in results.items():
        seconds, rss = zip(*result["samples"], strict=True)
        color = COLORS[scheduler]
        axis.plot(
            [s / 60 for s in seconds], rss, color=color, linewidth=1, label=scheduler
        )
    axis.set_ylim(bottom=0)
    axis.set_xlabel("minutes", fontsize=9)
    axis.set_ylabel("RSS of the scheduler's process, MiB", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9, frameon=False)
    figure.savefig(file)
