"""A line through measured points."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Line:
    """A line fitted by least squares.

    Examples
    --------
    >>> line = Line.through([(0, 1), (1, 3), (2, 5)])
    >>> line.slope, line.error, line.at(10)
    (2.0, 0.0, 21.0)
    """

    slope: float
    intercept: float
    #: Standard error of the slope; NaN for fewer than three points.
    error: float

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line:
        """Fit a line to at least two points."""
        xs, ys = zip(*points, strict=True)
        slope, intercept = statistics.linear_regression(xs, ys)
        residuals = sum((y - intercept - slope * x) ** 2 for x, y in points)
        mean = statistics.fmean(xs)
        spread = sum((x - mean) ** 2 for x in xs)
        freedom = len(points) - 2
        error = math.sqrt(residuals / freedom / spread) if freedom > 0 else math.nan
        return cls(slope, intercept, error)

    def at(self, x: float) -> float:
        """Return the line's value at x."""
        return self.intercept + self.slope * x
