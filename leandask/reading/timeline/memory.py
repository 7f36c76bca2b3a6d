"""Memory: the RSS of schedulers over time."""

from __future__ import annotations

from leandask.reading.lives import Memory

#: Points to keep of all schedulers together, 250 bytes each. A day has 8640 samples,
#: and a screen about 1000 pixels.
POINTS = 4096
#: Milliseconds between two points at first.
WIDTH = 1000


class MemoryCurves:
    """The RSS of each scheduler over time, in a limited number of points.

    With one point more than the limit all become twice as wide. A point is the highest
    of its time, so that no peak is lost.

    Parameters
    ----------
    limit : int, optional
        Points to keep; more than there are schedulers.

    Examples
    --------
    >>> curves = MemoryCurves(limit=2)
    >>> for second in range(4):
    ...     curves.add("Scheduler-1", Memory(1000 * second, second % 3, None))
    >>> [(point.ms, point.rss) for point in curves.of("Scheduler-1")]
    [(1000, 1), (2000, 2)]
    >>> curves
    <MemoryCurves: 2/2 points of 2000 ms>
    """

    __slots__ = ("_curves", "_n", "limit", "width")

    def __init__(self, limit: int = POINTS) -> None:
        self.limit = limit
        #: Milliseconds.
        self.width = WIDTH
        # By scheduler, and by the time since the epoch in widths.
        self._curves: dict[str, dict[int, Memory]] = {}
        self._n = 0

    def add(self, scheduler_id: str, memory: Memory) -> None:
        """Add what a scheduler had at one time."""
        self._n += self._put(self._curves.setdefault(scheduler_id, {}), memory)
        while self._n > self.limit:
            self._widen()

    def forget(self, scheduler_id: str) -> None:
        """Remove the curve of a scheduler."""
        self._n -= len(self._curves.pop(scheduler_id, ()))

    def of(self, scheduler_id: str) -> list[Memory]:
        """Return the points of a scheduler, by time."""
        return sorted(self._curves.get(scheduler_id, {}).values())

    def _put(self, curve: dict[int, Memory], memory: Memory) -> bool:
        """Keep the higher of two points of one time; return whether it is the first."""
        number = memory.ms // self.width
        other = curve.get(number)
        if other is None or other.rss < memory.rss:
            curve[number] = memory
        return other is None

    def _widen(self) -> None:
        self.width *= 2
        self._n = 0
        for name, narrow in self._curves.items():
            curve = self._curves[name] = {}
            self._n += sum([self._put(curve, point) for point in narrow.values()])

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self._n}/{self.limit} points of {self.width} ms>"
        )
