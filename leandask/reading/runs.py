"""RunStats: how long tasks ran, by prefix and by worker, and why they erred."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import repeat
from operator import attrgetter, truediv
from typing import Any

from leandask.reading.taskruns import PHASES, TaskRun, run_of

#: Prefixes, workers and kinds of errors with figures of their own; further ones share.
#: A prefix takes 3 kB, a worker 1 kB and an error 6 kB.
PREFIXES, WORKERS, ERRORS = 1000, 10_000, 100
OTHERS = "(others)"
#: Threads of a worker that are counted.
THREADS = 1000
#: Runs that are counted together, which takes a third of the time. They take 8 MB at
#: most, with the longest tracebacks.
TOGETHER = 500
#: Ratio of two neighbouring bounds between which durations count as equal: a quantile
#: is exact to 2.5 %.
RATIO = 1.05
_LOG_RATIO = math.log(RATIO)
#: Characters of an exception that make it another one.
TEXT_LENGTH = 200
#: The place in the last lines of a traceback.
_PLACE = re.compile(r'File "([^"\n]*)", line (\d+), in ([^\n]*)')


class Durations:
    """Seconds of a phase: their number, sum, quantiles and largest one.

    Examples
    --------
    >>> durations = Durations()
    >>> for seconds in (0.1, 0.2, 0.3, 10.0):
    ...     durations.add(seconds)
    >>> durations.as_dict()["max"], round(durations.quantile(0.5), 1)
    (10.0, 0.2)
    """

    __slots__ = ("_bins", "count", "most", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = self.most = 0.0
        #: Number by the logarithm of the duration: at most 1000 of them.
        self._bins: Counter[int] = Counter()

    def add(self, *seconds: float) -> None:
        """Count durations."""
        self.count += len(seconds)
        self.total = sum(seconds, self.total)
        self.most = max(self.most, *seconds)
        # A microsecond and less are one bin, as are durations over years.
        if min(seconds) < 1e-6 or self.most > 1e9:
            seconds = (*(min(max(each, 1e-6), 1e9) for each in seconds),)
        # Of millions: no loop of Python.
        places = map(truediv, map(math.log, seconds), repeat(_LOG_RATIO))
        self._bins.update(map(round, places))

    def quantile(self, part: float) -> float:
        """Return the duration that a part of all does not exceed; 0 of none."""
        left = part * self.count
        for place in sorted(self._bins):
            left -= self._bins[place]
            if left <= 0:
                return min(math.exp(place * _LOG_RATIO), self.most)
        return 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the figures, rounded to microseconds."""
        figures = {
            "total": self.total,
            "mean": self.total / max(self.count, 1),
            "p50": self.quantile(0.50),
            "p99": self.quantile(0.99),
            "max": self.most,
        }
        return {name: round(seconds, 6) for name, seconds in figures.items()}


class _OfPrefix:
    """The runs of a prefix."""

    def __init__(self) -> None:
        self.count = self.erred = self.nbytes = 0
        self.phases = {name: Durations() for name in PHASES.values()}

    def add(self, runs: list[TaskRun]) -> None:
        self.count += len(runs)
        self.erred += sum([run.status == "erred" for run in runs])
        self.nbytes += sum([run.nbytes or 0 for run in runs])
        found = {
            "compute": [run.compute for run in runs if run.start is not None],
            "transfer": [run.transfer for run in runs if run.transfer],
            "disk": [run.disk for run in runs if run.disk],
            "deserialize": [run.deserialize for run in runs if run.deserialize],
        }
        for name, seconds in found.items():
            if seconds:
                self.phases[name].add(*seconds)

    def as_dict(self) -> dict[str, Any]:
        phases = {
            f"{name}_seconds": of.as_dict()
            for name, of in self.phases.items()
            if of.count
        }
        counts = {"count": self.count, "erred": self.erred, "nbytes": self.nbytes}
        return counts | phases


class _OfWorker:
    """The runs on a worker."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.count = self.erred = 0
        self.seconds = 0.0
        self.first, self.last = math.inf, -math.inf
        self.threads: set[int | None] = set()

    def add(self, runs: list[TaskRun]) -> None:
        self.name = runs[-1].worker_name
        self.count += len(runs)
        self.erred += sum([run.status == "erred" for run in runs])
        seen = [run for run in runs if run.start is not None]
        if seen:
            self.seconds = sum([run.compute for run in seen], self.seconds)
            # The stop is known if the start is.
            self.first = min(self.first, *(run.start or 0.0 for run in seen))
            self.last = max(self.last, *(run.stop or 0.0 for run in seen))
            if len(self.threads) < THREADS:
                self.threads.update([run.thread for run in seen])

    def as_dict(self) -> dict[str, Any]:
        threads = min(len(self.threads), THREADS)
        span = (self.last - self.first) * threads
        return {
            "name": self.name,
            "count": self.count,
            "erred": self.erred,
            "threads": threads,
            "compute_seconds": round(self.seconds, 6),
            # The part of the time from its first to its last run, of all its threads.
            "busy": round(self.seconds / span, 4) if span > 0 else None,
        }


class RunStats:
    """Counts the runs of tasks of a log, in bounded memory."""

    def __init__(self) -> None:
        self._prefixes: dict[str, _OfPrefix] = {}
        self._workers: dict[str, _OfWorker] = {}
        self._errors: dict[tuple[str, str], dict[str, Any]] = {}
        #: Runs that are not counted yet.
        self._runs: list[TaskRun] = []

    def __bool__(self) -> bool:
        self._count()
        return bool(self._prefixes)

    def add(self, record: dict[str, Any]) -> None:
        """Count the run of a record.

        Raises
        ------
        InvalidRecord
            If it breaks the schema. Nothing is counted then.
        """
        self.add_run(run_of(record))

    def add_run(self, run: TaskRun) -> None:
        """Count a run."""
        if not run.blames_another:
            self._runs.append(run)
            if len(self._runs) >= TOGETHER:
                self._count()

    def _count(self) -> None:
        """Count the runs that have been added since the last time."""
        runs, self._runs = self._runs, []
        for name, some in _grouped(runs, attrgetter("prefix")):
            _entry(self._prefixes, name, PREFIXES, _OfPrefix).add(some)
        for name, some in _grouped(runs, attrgetter("worker")):
            if name is not None:
                _entry(self._workers, name, WORKERS, _OfWorker).add(some)
        for run in runs:
            if run.status == "erred":
                self._add_error(run)

    def _add_error(self, run: TaskRun) -> None:
        text = (run.exception_text or "")[:TEXT_LENGTH]
        place = place_of(run.traceback or "")
        # Of one line of code, whatever the text: it often has a value in it.
        kind = (run.exception_type or text, place) if place else (text, "")
        if kind not in self._errors and len(self._errors) >= ERRORS:
            kind, text, place = (OTHERS, ""), OTHERS, ""
        error = self._errors.setdefault(
            kind,
            {
                "type": run.exception_type,
                "text": text,
                "line": place,
                "count": 0,
                "prefixes": {},
                "first_key": run.key,
                "traceback": run.traceback,
            },
        )
        error["count"] += 1
        prefixes = error["prefixes"]
        if run.prefix in prefixes or len(prefixes) < ERRORS:
            prefixes[run.prefix] = prefixes.get(run.prefix, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain values, what took or erred most first."""
        self._count()
        errors = sorted(self._errors.values(), key=lambda error: -error["count"])
        return {
            "prefixes": {
                name: of.as_dict()
                for name, of in sorted(
                    self._prefixes.items(),
                    key=lambda item: -item[1].phases["compute"].total,
                )
            },
            "workers": {name: of.as_dict() for name, of in self._workers.items()},
            "errors": errors,
        }


def _grouped(
    runs: list[TaskRun], name_of: Callable[[TaskRun], Any]
) -> Iterable[tuple[Any, list[TaskRun]]]:
    """Return the runs of each name, in the order of the first ones."""
    found: dict[Any, list[TaskRun]] = {}
    for run, name in zip(runs, map(name_of, runs), strict=True):
        if name in found:
            found[name].append(run)
        else:
            found[name] = [run]
    return found.items()


def _entry(entries: dict[str, Any], name: str, most: int, make: Any) -> Any:
    if name not in entries:
        if len(entries) >= most:
            name = OTHERS
        if name not in entries:
            entries[name] = make()
    return entries[name]


def place_of(traceback: str) -> str:
    """Return where a traceback ends; empty if it does not say.

    Examples
    --------
    >>> place_of('  File "load.py", line 7, in load\\n    raise ValueError\\n')
    'load.py:7, in load'
    """
    places = _PLACE.findall(traceback)
    return "{}:{}, in {}".format(*places[-1]) if places else ""
