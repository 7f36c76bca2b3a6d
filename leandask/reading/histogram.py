"""Histogram: counts over a range of time that is not known in advance."""

from __future__ import annotations

#: Bins to keep. With one more, all become twice as wide. A bin of 15 counts
#: (``timeline/columns.py``) takes 700 bytes at most, so all take 2.9 MB. With 4096 of
#: them a screen of 1000 pixels can be zoomed four times.
BINS = 4096


class Histogram:
    """Counts in a limited number of bins of time.

    All bins have one width. It starts at 1 ms and doubles when there are too many bins.
    Only bins with a count exist, so that idle hours, or a clock that was once at 1970,
    do not make the others wider.

    Parameters
    ----------
    columns : int
        Counts in a row.
    limit : int, optional
        Bins to keep.

    Examples
    --------
    >>> histogram = Histogram(columns=1, limit=2)
    >>> for ms in (0, 5, 9000):
    ...     histogram.row(ms)[0] += 1
    >>> histogram
    <Histogram: 2/2 bins of 8 ms>
    >>> histogram.sorted()
    [(0, [2]), (9000, [1])]
    """

    __slots__ = ("columns", "limit", "rows", "width")

    def __init__(self, columns: int, limit: int = BINS) -> None:
        self.columns = columns
        self.limit = limit
        #: Milliseconds; a power of two.
        self.width = 1
        #: Counts of each bin, by its start since the epoch, in widths.
        self.rows: dict[int, list[int]] = {}

    def row(self, ms: int) -> list[int]:
        """Return the row to count in, which is valid until the next call.

        Parameters
        ----------
        ms : int
            Milliseconds since the epoch.
        """
        row = self.rows.get(ms // self.width)
        if row is None:
            row = self.rows[ms // self.width] = [0] * self.columns
            if len(self.rows) > self.limit:
                while len(self.rows) > self.limit:
                    self._widen()
                row = self.rows[ms // self.width]
        return row

    def copy(self) -> Histogram:
        """Copy the counts."""
        histogram = Histogram(self.columns, self.limit)
        histogram.width = self.width
        histogram.rows = {number: row.copy() for number, row in self.rows.items()}
        return histogram

    def sorted(self) -> list[tuple[int, list[int]]]:
        """Return the start of each bin (ms since the epoch) and its counts, by time."""
        return [
            (number * self.width, self.rows[number]) for number in sorted(self.rows)
        ]

    def _widen(self) -> None:
        # Years end at 9999, so this can happen no more than 49 times.
        self.width *= 2
        narrow, self.rows = self.rows, {}
        for number, row in narrow.items():
            merged = self.rows.setdefault(number // 2, row)
            if merged is not row:
                merged[:] = map(int.__add__, merged, row)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {len(self.rows)}/{self.limit} bins "
            f"of {self.width} ms>"
        )
