"""Figures: what the page of a timeline shows, as plain JSON values."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from leandask.reading.timeline.columns import FLOWS, LEVELS, STATES, UNSHOWN, WORKERS
from leandask.reading.timeline.schedulers import Life
from leandask.reading.timeline.timeline import Timeline
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line


class Figures:
    """Figures of a timeline, at one moment.

    Parameters
    ----------
    timeline : Timeline
    """

    def __init__(self, timeline: Timeline) -> None:
        bins = timeline.settled()
        rows = bins.sorted()
        #: Milliseconds of a bin, and since the epoch of the start of each.
        self.width = bins.width
        self.starts = [ms for ms, _ in rows]
        columns = [*zip(*(row for _, row in rows), strict=True)]
        columns = columns or [()] * bins.columns
        # Times that are out of order can still take a level below zero for a moment.
        #: Levels at the end of each bin, by name.
        self.levels = {
            name: [max(level, 0) for level in accumulate(column)]
            for name, column in zip(LEVELS, columns, strict=False)
            if name != LEVELS[UNSHOWN]
        }
        #: What happened in each bin, by name of the flow.
        self.flows = {
            name: [*column]
            for name, column in zip(FLOWS, columns[len(LEVELS) :], strict=True)
        }
        #: Everything that happened, by name of the flow.
        self.totals = {name: sum(column) for name, column in self.flows.items()}
        self.transitions = sum(self.totals[n] for n in ("finished", "erred", "moved"))
        #: Whether transitions other than those into erred were recorded: without them
        #: there is no telling how many tasks are in each state.
        self.states_known = self.transitions > self.totals["erred"]
        self.lives = sorted(timeline.lives.values(), key=lambda life: life.first)
        # Inside of a bin it may have been more than at its end.
        peaks = [
            max((life.high[i] - life.low[i] for life in self.lives), default=0)
            for i in range(len(LEVELS))
        ]
        #: The most that each level ever was, and what it is at the end of the log.
        self.most = {
            name: max(peaks[LEVELS.index(name)], *level, 0)
            for name, level in self.levels.items()
        }
        self.last = {
            name: level[-1] if level else 0 for name, level in self.levels.items()
        }
        #: Milliseconds since the epoch that the page shows.
        self.start = min(self.starts, default=0)
        self.end = max(self.starts, default=0) + self.width
        self.timeline = timeline

    def fate(self, life: Life) -> str:
        """Tell how a scheduler ended.

        Parameters
        ----------
        life : Life

        Returns
        -------
        str
            ``"stopped"``, ``"running"`` at the end of the log, or ``"killed"``.
        """
        if life.stopped is not None:
            return "stopped"
        return "running" if life.goes_on(self.lives) else "killed"

    def end_of(self, life: Life) -> int:
        """Return until when a scheduler lived, as far as is known.

        Parameters
        ----------
        life : Life

        Returns
        -------
        int
            Milliseconds since the epoch.
        """
        if self.fate(life) == "running":
            return self.end
        return life.end(self.lives)

    def plain(self) -> dict[str, Any]:
        """Return what the script of the page draws.

        Returns
        -------
        dict
            Plain JSON values; texts have no control characters and no surrogates.
        """
        return {
            "width": self.width,
            "start": self.start,
            "end": self.end,
            # In widths since the start: much shorter.
            "bins": [(ms - self.start) // self.width for ms in self.starts],
            "states": [*STATES] if self.states_known else [],
            "levels": self.levels if self.states_known else self._workers(),
            "flows": self.flows,
            "lives": [
                {
                    "id": one_line(life.id, NAME_LENGTH),
                    "first": life.first,
                    "last": life.last,
                    "end": self.end_of(life),
                    "fate": self.fate(life),
                    "started": life.started,
                    "address": one_line(life.about, NAME_LENGTH),
                    "reason": one_line(life.reason, MESSAGE_LENGTH),
                }
                for life in self.lives
            ],
            "lanes": self._lanes(),
            "marks": {kind: [*marks] for kind, marks in self.timeline.marks.items()},
        }

    def _workers(self) -> dict[str, list[int]]:
        return {LEVELS[WORKERS]: self.levels[LEVELS[WORKERS]]}

    def _lanes(self) -> list[tuple[str, list[Any]]]:
        """Addresses, and of each stay start, end, lost, start known, end known."""
        ends = {id(life): self.end_of(life) for life in self.lives}
        lanes = []
        for address, lane in self.timeline.lanes.stays.items():
            stays = []
            for stay in lane:
                joined = stay.life.first if stay.joined is None else stay.joined
                left = stay.left
                if left is None:  # settled schedulers are no more among the lives
                    left = ends.get(id(stay.life), stay.life.last)
                stays.append(
                    [
                        joined,
                        max(joined, left),
                        int(stay.lost),
                        int(stay.joined is not None),
                        int(stay.left is not None),
                    ]
                )
            lanes.append((one_line(address, NAME_LENGTH), stays))
        return sorted(lanes, key=lambda lane: lane[1][0][0])
