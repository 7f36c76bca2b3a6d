"""Bins: counts over a time whose range is not known in advance."""

from __future__ import annotations

#: Bins that are kept; with one more, all become twice as wide. A bin of 15 counts takes
#: 700 bytes at most (``timeline/columns.py``), so all take 2.9 MB; 4096 of them leave
#: something to see on a screen of 1000 pixels that is zoomed four times.
BINS = 4096


class Bins:
    """Rows of counts by time, of which no more than a limit are kept.

    All bins have one width, which starts at 1 ms and doubles when there are too many.
    Only bins in which something happened exist: neither idle hours nor a clock that
    once stood at 1970 cost any sharpness.

    Parameters
    ----------
    columns : int
        Counts in a row.
    limit : int, optional
        Bins to keep.

    Examples
    --------
    >>> bins = Bins(columns=1, limit=2)
    >>> for ms in (0, 5, 9000):
    ...     bins.row(ms)[0] += 1
    >>> bins
    <Bins: 2/2 of 8 ms>
    >>> bins.sorted()
    [(0, [2]), (9000, [1])]
    """

    __slots__ = ("columns", "limit", "rows", "width")

    def __init__(self, columns: int, limit: int = BINS) -> None:
        self.columns = columns
        self.limit = limit
        #: Milliseconds; a power of two.
        self.width = 1
        #: Rows by their time since the epoch, in widths.
        self.rows: dict[int, list[int]] = {}

    def row(self, ms: int) -> list[int]:
        """Return the row to count in, which is good until the next call.

        Parameters
        ----------
        ms : int
            Milliseconds since the epoch.

        Returns
        -------
        list of int
        """
        row = self.rows.get(ms // self.width)
        if row is None:
            row = self.rows[ms // self.width] = [0] * self.columns
            if len(self.rows) > self.limit:
                while len(self.rows) > self.limit:
                    self._widen()
                row = self.rows[ms // self.width]
        return row

    def copy(self) -> Bins:
        """Copy the counts.

        Returns
        -------
        Bins
        """
        bins = Bins(self.columns, self.limit)
        bins.width = self.width
        bins.rows = {number: row.copy() for number, row in self.rows.items()}
        return bins

    def sorted(self) -> list[tuple[int, list[int]]]:
        """Return the rows in the order of time.

        Returns
        -------
        list of tuple
            The start of the bin, in milliseconds since the epoch, and its counts.
        """
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
        return f"<Bins: {len(self.rows)}/{self.limit} of {self.width} ms>"
