"""Figures: what the page of a timeline shows, as plain JSON values."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

from leandask.reading.lives import VERDICT_LENGTH, highest
from leandask.reading.timeline.columns import FLOWS, LEVELS, STATES, UNSHOWN, WORKERS
from leandask.reading.timeline.schedulers import SchedulerRun
from leandask.reading.timeline.taskstream.packing import packed
from leandask.reading.timeline.timeline import Timeline
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH, one_line


class StayFigures(NamedTuple):
    """What the page draws of a worker's stay: times in milliseconds since the epoch."""

    start: int
    end: int
    #: 0 or 1, which is shorter in JSON.
    is_lost: int
    is_start_known: int
    is_end_known: int


class Figures:
    """The figures of a timeline as it is now.

    Parameters
    ----------
    timeline : Timeline
    """

    def __init__(self, timeline: Timeline) -> None:
        histogram = timeline.settled()
        rows = histogram.sorted()
        #: Milliseconds of a bin, and since the epoch of the start of each.
        self.width = histogram.width
        self.starts = [ms for ms, _ in rows]
        columns = [*zip(*(row for _, row in rows), strict=True)]
        columns = columns or [()] * histogram.columns
        # Times that are out of order can take a level below zero for a moment.
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
        #: Totals over the whole log, by name of the flow.
        self.totals = {name: sum(column) for name, column in self.flows.items()}
        #: Name of the flow that counts tasks that erred: their records say why.
        self.errors = max(("failed", "erred"), key=lambda name: self.totals[name])
        self.transitions = sum(self.totals[n] for n in ("finished", "erred", "moved"))
        #: Whether transitions other than those into erred were recorded: without them
        #: it is not known how many tasks are in each state.
        self.states_known = self.transitions > self.totals["erred"]
        self.schedulers = sorted(
            timeline.schedulers.values(), key=lambda run: run.first
        )
        # Within a bin a level may have been higher than at its end.
        peaks = [
            max((run.high[i] - run.low[i] for run in self.schedulers), default=0)
            for i in range(len(LEVELS))
        ]
        #: Highest value of each level, and its value at the end of the log.
        self.most = {
            name: max(peaks[LEVELS.index(name)], *level, 0)
            for name, level in self.levels.items()
        }
        self.last = {
            name: level[-1] if level else 0 for name, level in self.levels.items()
        }
        memory, width = timeline.memory, self.width
        #: The RSS of each scheduler over time, by its id; and the highest of all.
        self.memory = {run.id: memory.of(run.id) for run in self.schedulers}
        self.memory_peak = highest(run.peak for run in self.schedulers)
        #: Milliseconds since the epoch between which the page shows the log.
        sampled = [p.ms // width * width for ps in self.memory.values() for p in ps]
        if (begin := timeline.tasks.start) is not None:
            sampled.append(begin // 1000 // width * width)
        self.start = min(self.starts + sampled, default=0)
        self.end = max(self.starts + sampled, default=0) + width
        self.is_empty = not (self.starts or sampled)
        self.timeline = timeline
        tasks = timeline.tasks
        #: The runs of tasks as the page has them; None if none was recorded.
        self.runs = packed(tasks, 1000 * self.start) if tasks.runs else None

    def fate(self, run: SchedulerRun) -> str:
        """Return "stopped", "running" (when the log ends) or "killed"."""
        return run.fate(self.schedulers, self.timeline.quiet_at)

    def verdict(self, run: SchedulerRun) -> str:
        """Say how a scheduler was killed; empty if it was not."""
        return run.verdict(self.schedulers) if self.fate(run) == "killed" else ""

    def end_of(self, run: SchedulerRun) -> int:
        """Return when a scheduler ended, as far as known, in ms since the epoch."""
        if self.fate(run) == "running":
            return self.end
        return run.end(self.schedulers)

    def plain(self) -> dict[str, Any]:
        """Return what the script of the page draws, as plain JSON values.

        Texts have no control characters and no surrogates.
        """
        return {
            "width": self.width,
            "start": self.start,
            "end": self.end,
            # In widths since the start: much shorter than milliseconds.
            "bins": [(ms - self.start) // self.width for ms in self.starts],
            "states": [*STATES] if self.states_known else [],
            "levels": self.levels if self.states_known else self._workers(),
            "flows": self.flows,
            "errors": self.errors,
            "runs": self.runs,
            "schedulers": [
                {
                    "id": one_line(run.id, NAME_LENGTH),
                    "first": run.first,
                    "last": run.last,
                    "end": self.end_of(run),
                    "fate": self.fate(run),
                    "started": run.started,
                    "address": one_line(run.address, NAME_LENGTH),
                    "reason": one_line(run.reason, MESSAGE_LENGTH),
                    "verdict": one_line(self.verdict(run), VERDICT_LENGTH),
                    "memory": self._memory(run),
                    "limit": run.peak and run.peak.limit,
                }
                for run in self.schedulers
            ],
            "lanes": self._lanes(),
            "marks": {kind: [*marks] for kind, marks in self.timeline.marks.items()},
        }

    def _memory(self, run: SchedulerRun) -> list[list[int]]:
        """Return milliseconds since the start, and the RSS at each of these times."""
        points = self.memory[run.id]
        return [[p.ms - self.start for p in points], [p.rss for p in points]]

    def _workers(self) -> dict[str, list[int]]:
        return {LEVELS[WORKERS]: self.levels[LEVELS[WORKERS]]}

    def _lanes(self) -> list[tuple[str, list[StayFigures]]]:
        ends = {id(run): self.end_of(run) for run in self.schedulers}
        lanes = []
        for address, lane in self.timeline.workers.stays.items():
            stays = []
            for stay in lane:
                joined = stay.run.first if stay.joined is None else stay.joined
                left = stay.left
                if left is None:  # settled schedulers are not in `ends`
                    left = ends.get(id(stay.run), stay.run.last)
                stays.append(
                    StayFigures(
                        start=joined,
                        end=max(joined, left),
                        is_lost=int(stay.lost),
                        is_start_known=int(stay.joined is not None),
                        is_end_known=int(stay.left is not None),
                    )
                )
            lanes.append((one_line(address, NAME_LENGTH), stays))
        return sorted(lanes, key=lambda lane: lane[1][0][0])
