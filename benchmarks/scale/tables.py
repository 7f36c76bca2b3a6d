"""Tables of what the sweeps measured, in Markdown."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.harness.cluster import MIB
from benchmarks.harness.line import Line
from benchmarks.scale.sweeps import Point

#: Points by sweep, of one scheduler.
Points = dict[str, list[Point]]


@dataclasses.dataclass(frozen=True)
class Value:
    """A value with its standard error, which is NaN if there is none.

    The value itself is NaN if it needs a slope that is not certain.
    """

    value: float
    error: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "no growth found"
        decimals = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2
        text = f"{self.value:,.{decimals}f}"
        if math.isnan(self.error):
            return text
        return f"{text} ± {self.error:,.{decimals}f}"

    def over(self, base: Value) -> str:
        """Write the ratio to a base, if that is certainly above 0."""
        if base.value > 2 * (0 if math.isnan(base.error) else base.error):
            ratio = self.value / base.value
            # Without the sign of -0.
            return "–" if math.isnan(ratio) else f"{round(ratio, 2) + 0.0:.2f}"
        return "–"


Row = tuple[str, Callable[[Points], Value]]


def line(points: Points, sweep: str, x: str, y: str) -> Line:
    """Fit a line to the points of a sweep that have both values."""
    return Line.through([(p[x], p[y]) for p in points[sweep] if x in p and y in p])


def slope(sweep: str, x: str, y: str, unit: float) -> Callable[[Points], Value]:
    """Return a function that computes a slope, in a unit."""

    def value(points: Points) -> Value:
        fitted = line(points, sweep, x, y)
        return Value(fitted.slope / unit, fitted.error / abs(unit))

    return value


def at(sweep: str, x: str, y: str, where: float, unit: float = 1.0) -> Row:
    """Make a row of the values at x, or of the line's value where x is beyond them."""

    def value(points: Points) -> Value:
        there = [p[y] / unit for p in points[sweep] if p.get(x) == where and y in p]
        if there:
            many = len(there) > 1
            error = statistics.stdev(there) / len(there) ** 0.5 if many else math.nan
            return Value(statistics.fmean(there), error)
        fitted = line(points, sweep, x, y)
        if fitted.slope <= 2 * fitted.error:
            return Value(math.nan)
        return Value(fitted.at(where) / unit, fitted.error * where / unit)

    return f"{where:,} {x}", value


def submitted(before: float, until: float) -> Row:
    """Make a row of the cost of tasks submitted between two levels."""

    def value(points: Points) -> Value:
        costs = [
            p["submit"]
            for p in points["tasks"]
            if "submit" in p and before < p["tasks"] <= until
        ]
        many = len(costs) > 1
        error = statistics.stdev(costs) / len(costs) ** 0.5 if many else math.nan
        return Value(statistics.fmean(costs), error)

    return f"- {before:,} to {until:,} tasks", value


def registered(count: int) -> Callable[[Points], Value]:
    """Return a function that computes the CPU seconds to register ``count`` workers."""

    def value(points: Points) -> Value:
        fitted = line(points, "workers", "register_at", "register")
        return Value(fitted.at(count / 2) * count, fitted.error * count**2 / 2)

    return value


def worker_rows(points: Points) -> Iterator[Row]:
    """Yield the rows of the sweep of workers."""
    counts = sorted({int(p["workers"]) for p in points["workers"] if "cost" in p})
    most = counts[-1]
    memory = slope("workers", "workers", "rss", 1024)
    yield "memory of a connected worker, KiB", memory
    yield f"CPU to register {most:,} workers, s", registered(most)
    _, idle = at("workers", "workers", "idle", most, 0.01)
    yield f"CPU with {most:,} idle workers, % of a core", idle
    for count in counts:
        title, cost = at("workers", "workers", "cost", count)
        yield f"CPU of a transition, µs: {title}", cost
    growth = slope("workers", "workers", "cost", 0.001)
    yield "- and for each 1,000 workers more", growth


def task_rows(points: Points) -> Iterator[Row]:
    """Yield the rows of the sweep of held tasks."""
    levels = [int(p["tasks"]) for p in points["tasks"] if "run" in p]
    most = levels[-1]
    yield "memory of a pending task, bytes", slope("tasks", "tasks", "rss", 1)
    _, left = at("tasks", "released", "rss", most, MIB)
    yield f"memory after the release of {most:,} tasks, MiB", left
    for before, level in zip([0, *levels], levels, strict=False):
        title, cost = submitted(before, level)
        yield f"CPU of a submitted task's transition, µs: {title[2:]}", cost
    growth = slope("tasks", "tasks", "submit", 1e-6)
    yield "- and for each 1,000,000 tasks more", growth
    for level in levels:
        title, cost = at("tasks", "tasks", "run", level)
        yield f"CPU of a running task's transition, µs: {title}", cost
    growth = slope("tasks", "tasks", "run", 1e-6)
    yield "- and for each 1,000,000 tasks more", growth
    _, cost = at("tasks", "released", "release", most)
    yield f"CPU of a released task's transition, µs: {most:,} tasks", cost


def rows(points: Points) -> Iterator[Row]:
    """Yield all rows that the measured sweeps allow."""
    if "workers" in points:
        yield from worker_rows(points)
    if "clients" in points:
        memory = slope("clients", "clients", "rss", 1024)
        yield "memory of a connected client, KiB", memory
    if "tasks" in points:
        yield from task_rows(points)
    if "finished" in points:
        memory = slope("finished", "finished", "rss", 1)
        yield "memory left by a finished, forgotten task, bytes", memory


def far_rows(points: Points) -> Iterator[Row]:
    """Yield the rows that extrapolate the lines far beyond what was measured."""
    if "workers" in points:
        title, memory = at("workers", "workers", "rss", 10_000, MIB)
        yield f"memory with {title}, MiB", memory
        yield "CPU to register them, s", registered(10_000)
        _, cost = at("workers", "workers", "cost", 10_000)
        yield "CPU of a transition with them, µs", cost
    if "tasks" in points:
        title, memory = at("tasks", "tasks", "rss", 10_000_000, 1024 * MIB)
        yield f"memory with {title} pending, GiB", memory
        _, cost = at("tasks", "tasks", "submit", 10_000_000)
        yield "CPU of a submitted task's transition with them, µs", cost
        _, cost = at("tasks", "tasks", "run", 10_000_000)
        yield "CPU of a running task's transition with them, µs", cost


def tables(figures: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables of what ``python -m benchmarks.scale`` measured."""
    sweeps = figures["sweeps"]
    names = list(next(iter(sweeps.values())))
    points = {name: {s: sweeps[s][name] for s in sweeps} for name in names}
    machine = ", ".join(f"{name} {value}" for name, value in figures["machine"].items())
    yield f"Measured in {figures['seconds'] / 60:.0f} minutes with {machine}."
    sections = {"measured": rows, "extrapolated": far_rows}
    if figures["quick"]:
        del sections["extrapolated"]  # its lines would have too few points
    for title, rows_of in sections.items():
        yield ""
        yield f"| {title} | {' | '.join(names)} | ratio |"
        yield "|---|" + "---:|" * (len(names) + 1)
        for label, value in rows_of(points[names[0]]):
            values = [value(points[name]) for name in names]
            ratio = values[-1].over(values[0]) if len(values) > 1 else "–"
            yield f"| {label} | {' | '.join(map(str, values))} | {ratio} |"
