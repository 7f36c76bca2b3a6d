"""Curves: memory, workers and tasks of one run over time, in bounded memory."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from leandask.reading.histogram import Histogram
from leandask.reading.lines import EXACT

#: Samples that are kept; with one more, every second one goes.
SAMPLES = 1024
#: Periods in which tasks and workers are counted.
PERIODS = 512
#: What is counted in each period: runs that finished, and that erred; workers that
#: joined less those that left, and those that were lost.
FINISHED, ERRED, WORKERS, LOST = range(4)
_STATE = "tasks_"


class Curves:
    """What a run's page draws.

    Examples
    --------
    >>> curves = Curves()
    >>> curves.count(0, FINISHED)
    >>> curves.as_dict()["counts"]
    {'width': 1, 'ms': [0], 'finished': [1], 'erred': [0], 'workers': [0], 'lost': [0]}
    """

    def __init__(self) -> None:
        self._counts = Histogram(columns=4, limit=PERIODS)
        self._samples: list[tuple[int, dict[str, int | None]]] = []
        #: One sample of so many is kept, and how many came since the last.
        self._stride, self._since = 1, 0
        #: The highest of those that were left out, which must not be lost.
        self._highest: tuple[int, dict[str, int | None]] | None = None

    def count(self, ms: int, column: int, n: int = 1) -> None:
        """Count something at a time."""
        self._counts.row(ms)[column] += n

    def sample(self, ms: int, record: dict[str, Any]) -> None:
        """Add a sample, or a record of memory pressure."""
        sample = {
            name: value
            for name, value in record.items()
            if (name in ("rss", "limit", "workers", "tasks") or _STATE in name)
            and type(value) is int
            and 0 <= value < EXACT
        }
        highest = self._highest
        if highest is None or (sample.get("rss") or 0) >= (highest[1].get("rss") or 0):
            self._highest = ms, {**sample}
        self._since += 1
        if self._since < self._stride:
            return
        assert self._highest is not None
        self._samples.append(self._highest)
        self._since, self._highest = 0, None
        if len(self._samples) > SAMPLES:
            pairs = zip(self._samples[::2], self._samples[1::2], strict=False)
            self._samples = [max(pair, key=_rss) for pair in pairs]
            self._stride *= 2

    def as_dict(self) -> dict[str, Any]:
        """Return columns of equal lengths; times are milliseconds since the epoch."""
        rows = self._counts.sorted()
        columns = [*zip(*(row for _, row in rows), strict=True)] or [()] * 4
        samples = self._samples + ([self._highest] if self._highest else [])
        names = {name: None for _, sample in samples for name in sample}
        return {
            "samples": {
                "ms": [ms for ms, _ in samples],
                **{name: [s.get(name) for _, s in samples] for name in names},
            },
            "counts": {
                "width": self._counts.width,
                "ms": [ms for ms, _ in rows],
                "finished": [*columns[FINISHED]],
                "erred": [*columns[ERRED]],
                "workers": [max(n, 0) for n in accumulate(columns[WORKERS])],
                "lost": [*columns[LOST]],
            },
        }


def _rss(sample: tuple[int, dict[str, int | None]]) -> int:
    return sample[1].get("rss") or 0
