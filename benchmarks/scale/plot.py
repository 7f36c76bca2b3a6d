"""Draws memory and CPU by workers, clients and tasks, with fitted lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.harness.cluster import MIB
from benchmarks.harness.line import Line
from benchmarks.harness.plot import COLORS, finish, panels_of, save
from benchmarks.scale.sweeps import Point

#: Title, sweep, name of x, name of y, unit of y.
PANELS = (
    ("RSS by workers, MiB", "workers", "workers", "rss", MIB),
    ("RSS by clients, MiB", "clients", "clients", "rss", MIB),
    ("RSS by pending tasks, MiB", "tasks", "tasks", "rss", MIB),
    ("RSS after tasks that finished, MiB", "finished", "finished", "rss", MIB),
    ("CPU to register a worker, ms", "workers", "register_at", "register", 1e-3),
    ("CPU of a transition by workers, µs", "workers", "workers", "cost", 1),
    ("CPU of a submission by tasks, µs", "tasks", "tasks", "submit", 1),
    ("CPU of a run by tasks, µs", "tasks", "tasks", "run", 1),
)


def plot(sweeps: dict[str, dict[str, list[Point]]], file: Path) -> None:
    """Draw the points by sweep and scheduler, and the line through them."""
    panels = [panel for panel in PANELS if panel[1] in sweeps]
    figure, axes = panels_of(len(panels), columns=4, width=3.6)
    handles: dict[str, Any] = {}
    for axis, (title, sweep, x, y, unit) in zip(axes, panels, strict=True):
        for name, points in sweeps[sweep].items():
            pairs = sorted((p[x], p[y] / unit) for p in points if x in p and y in p)
            fitted = Line.through(pairs)
            ends = [pairs[0][0], pairs[-1][0]]
            color = COLORS.get(name, "black")
            axis.plot(ends, [fitted.at(x) for x in ends], color=color, linewidth=1)
            (handles[name],) = axis.plot(*zip(*pairs, strict=True), ".", color=color)
        finish(axis, title)
    save(figure, handles, file)
