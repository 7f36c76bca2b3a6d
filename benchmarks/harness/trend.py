"""The slope of a series in time, with its confidence interval."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats

from benchmarks.harness.line import Line


class Trend(NamedTuple):
    """A slope with its confidence interval of 95 %."""

    #: Of the values, per unit of time.
    slope: float
    #: Half of the interval's width; infinite where the values are too few.
    margin: float

    @property
    def flat(self) -> bool:
        """Whether the interval holds zero."""
        return abs(self.slope) <= self.margin


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Fit a line to a series of at least three values by least squares.

    Memory changes in steps that last, so that neighbouring values are not independent.
    The interval counts ``n (1 - r) / (1 + r)`` of them, where ``r``
    is the correlation of each residual with the next (Santer et al. 2000,
    https://doi.org/10.1029/1999JD901105).

    Examples
    --------
    >>> trend([0, 1, 2, 3, 4, 5], [7, 9, 7, 9, 7, 9]).flat
    True
    >>> trend([0, 1, 2, 3, 4, 5], [7, 8.1, 9, 9.9, 11, 12.1]).flat
    False
    """
    line = Line.through(list(zip(times, values, strict=True)))
    residuals = [v - line.at(t) for t, v in zip(times, values, strict=True)]
    squares = sum(residual**2 for residual in residuals)
    if squares == 0:
        return Trend(line.slope, 0.0)
    r = max(0.0, sum(a * b for a, b in itertools.pairwise(residuals)) / squares)
    n = len(residuals)
    independent = n * (1 - r) / (1 + r)
    if independent <= 2:
        return Trend(line.slope, math.inf)
    error = line.error * math.sqrt((n - 2) / (independent - 2))
    return Trend(line.slope, float(error * stats.t.ppf(0.975, independent - 2)))
