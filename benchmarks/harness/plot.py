"""Draws measured curves: a panel for each scenario, a line for each scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLORS = {
    "upstream": "#d95f02",
    "recommended": "#e6ab02",
    "leandask": "#1b6ca8",
    "all-logged": "#777777",
}


def plot(
    results: dict[str, dict[str, dict[str, Any]]], titles: dict[str, str], file: Path
) -> None:
    """Draw the curves of all scenarios, with a dot where a step begins.

    The results are those of :func:`benchmarks.memory.measure`, by scenario and
    scheduler; the suffix of the file is the format.
    """
    figure, axes = panels_of(len(results), columns=3, width=4.2)
    handles: dict[str, Any] = {}
    for axis, (name, by_scheduler) in zip(axes, results.items(), strict=True):
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
        finish(axis, f"{name}\n{titles[name]}")
    figure.supxlabel("seconds (dots: a step begins)", fontsize=9)
    figure.supylabel("RSS of the scheduler's process, MiB", fontsize=9)
    save(figure, handles, file)


def panels_of(count: int, columns: int, width: float) -> tuple[Figure, list[Axes]]:
    """Make a figure of ``count`` panels, each of a width in inches."""
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (width * columns, 2.7 * rows + 0.5)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def finish(axis: Axes, title: str) -> None:
    """Set title, limits and grid of a panel."""
    axis.set_title(title, fontsize=8)
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)


def save(figure: Figure, handles: dict[str, Any], file: Path) -> None:
    """Write a figure with a legend of schedulers above."""
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
    """Draw the curves that :func:`benchmarks.soak.soak` returned, by scheduler."""
    figure, [axis] = panels_of(1, columns=1, width=7)
    handles: dict[str, Any] = {}
    for scheduler, result in results.items():
        seconds, rss = zip(*result["samples"], strict=True)
        minutes = [second / 60 for second in seconds]
        (handles[scheduler],) = axis.plot(
            minutes, rss, color=COLORS[scheduler], linewidth=1
        )
    finish(axis, "")
    axis.set_xlabel("minutes", fontsize=8)
    axis.set_ylabel("RSS of the scheduler's process, MiB", fontsize=8)
    save(figure, handles, file)
