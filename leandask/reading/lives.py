"""Lives: what a log says about each scheduler's memory, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from leandask.reading.lines import EXACT, InvalidRecord, milliseconds_of
from leandask.reading.sequence import SCHEDULERS
from leandask.reading.words import duration, memory, text_of
from leandask.records.schema import MEMORY_PRESSURE, SAMPLE, STARTED, STOPPED
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH

#: Records that a life is made of, and bytes of which one is in each of their lines.
NOTED = frozenset({STARTED, STOPPED, SAMPLE, MEMORY_PRESSURE})
NEEDLES = (b'"dask.scheduler.st', b'"leandask.sample"', b'"leandask.memory-pressure"')
#: Part of the limit from which on a scheduler was probably killed for memory.
NEARLY_FULL = 0.9
#: Holders that are kept of the last record of memory pressure, and their characters.
HOLDERS, HOLDER_LENGTH = 3, 100
#: Characters of what is said of the end of a scheduler.
VERDICT_LENGTH = 500
#: Milliseconds from which on the text says how much older the holders are.
OLD = 60_000
#: Intervals without a sample after which a scheduler no longer runs. One that has just
#: been started beside it says nothing.
MISSED_SAMPLES = 3


class Memory(NamedTuple):
    """The memory of a scheduler's process at one time."""

    #: Milliseconds since the epoch.
    ms: int
    #: Bytes.
    rss: int
    limit: int | None

    @property
    def is_nearly_full(self) -> bool:
        """Whether there was hardly room for more."""
        return self.limit is not None and self.rss >= self.limit * NEARLY_FULL

    def __str__(self) -> str:
        return memory(self.rss, self.limit)


def memory_of(record: dict[str, Any], ms: int) -> Memory:
    """Return the memory that a record tells, or raise InvalidRecord."""
    rss, limit = record.get("rss"), record.get("limit")
    if type(rss) is not int or not 0 <= rss < EXACT:
        raise InvalidRecord("rss", f"rss is not a size: {rss!r}")
    if limit is not None and (type(limit) is not int or not 0 < limit < EXACT):
        raise InvalidRecord("limit", f"limit is not a size: {limit!r}")
    return Memory(ms, rss, limit)


def how_killed(memory: Memory | None, is_counted: bool = False) -> tuple[str, str]:
    """Return "killed" or "killed-memory", and that in words, by a scheduler's memory.

    `is_counted` is whether its control group counted that it was killed for memory.
    """
    if is_counted:
        return "killed-memory", "killed for memory (the control group counted it)"
    if memory is not None and memory.is_nearly_full:
        return "killed-memory", "killed, probably for memory"
    return "killed", "killed"


def highest(memories: Iterable[Memory | None]) -> Memory | None:
    """Return the one with the highest RSS; None if there is none."""
    known = [each for each in memories if each is not None]
    return max(known, key=lambda each: each.rss, default=None)


class Life:
    """What a log says about one scheduler, from its first record to its last.

    Parameters
    ----------
    scheduler_id : str
    ms : int
        Time of a record, in milliseconds since the epoch.
    """

    __slots__ = (
        "address",
        "first",
        "holders",
        "id",
        "interval",
        "last",
        "memory",
        "oom_kills",
        "peak",
        "pressed",
        "reason",
        "started",
        "stopped",
    )

    def __init__(self, scheduler_id: str, ms: int) -> None:
        self.id = scheduler_id
        #: Times of the earliest and latest record, in milliseconds since the epoch.
        self.first = self.last = ms
        #: Times of the records of its start and stop, in milliseconds since the epoch.
        self.started: int | None = None
        self.stopped: int | None = None
        #: Why it stopped, and where it listened.
        self.reason = self.address = ""
        #: Processes of its control group killed for memory before its start, if known.
        self.oom_kills: int | None = None
        #: Milliseconds between two samples; None if it took none.
        self.interval: float | None = None
        #: The last memory that it told, and the highest.
        self.memory: Memory | None = None
        self.peak: Memory | None = None
        #: What held most at the last record of memory pressure, and its time.
        self.holders: list[str] = []
        self.pressed = 0

    def see(self, ms: int) -> None:
        """Note the time of one of its records."""
        self.first, self.last = min(self.first, ms), max(self.last, ms)

    def note(self, record: dict[str, Any], ms: int) -> Memory | None:
        """Note a record that is one of :data:`NOTED`; return the memory that it tells.

        Raises
        ------
        InvalidRecord
            If a field is not valid.
        """
        event_name = record["event_name"]
        if event_name == STARTED:
            self.started = ms
            self.address = text_of(record.get("address"), NAME_LENGTH)
            kills = record.get("oom_kills")
            self.oom_kills = kills if type(kills) is int else None
        elif event_name == STOPPED:
            self.stopped = ms
            self.reason = text_of(record.get("reason"), MESSAGE_LENGTH)
        else:
            found = self.memory = memory_of(record, ms)
            self.peak = highest((self.peak, found))
            if event_name == SAMPLE:
                interval = record.get("interval")
                if isinstance(interval, (int, float)) and 0 < interval < EXACT:
                    self.interval = interval * 1000
            elif type(holders := record.get("holders")) is list:
                self.holders = [text_of(h, HOLDER_LENGTH) for h in holders[:HOLDERS]]
                self.pressed = ms
            return found
        return None

    def end(self, others: Sequence[Life]) -> int:
        """Return when it ended, in milliseconds since the epoch.

        If no record says so, that is when the next one of the `others` started.
        """
        if self.stopped is not None:
            return max(self.stopped, self.last)
        following = self._following(others)
        return self.last if following is None else following.first

    def fate(self, others: Sequence[Life], quiet_at: int | None = None) -> str:
        """Return "stopped", "running" when the log ends, or "killed".

        It was killed if no record says that it stopped, and its samples ended before
        the last record of the `others`, or before `quiet_at`: a time, in milliseconds
        since the epoch, at which no process wrote to the log. One that took no samples
        was killed if one of the others started after its last record.
        """
        if self.stopped is not None:
            return "stopped"
        if self.interval is None:
            return "running" if self._following(others) is None else "killed"
        newest = max([quiet_at or 0, *(other.last for other in others)])
        due = self.last + MISSED_SAMPLES * self.interval
        return "killed" if due < newest else "running"

    def verdict(self, others: Sequence[Life]) -> str:
        """Say how it was killed, if it was, as far as the log tells."""
        return self.how_killed(others)[1]

    def how_killed(self, others: Sequence[Life]) -> tuple[str, str]:
        """Return its state, if it was killed, and the :meth:`verdict`."""
        memory = self.memory
        state, how = how_killed(memory, self._is_counted(self._following(others)))
        if state == "killed" or memory is None:
            return state, how
        return state, f"{how}: {self._evidence(memory)}"

    def _is_counted(self, following: Life | None) -> bool:
        """Whether the control group had killed more when the next one started."""
        if following is None or following.oom_kills is None or self.oom_kills is None:
            return False
        return following.oom_kills > self.oom_kills

    def _evidence(self, memory: Memory) -> str:
        before = self.last - memory.ms
        when = f"{duration(before)} before" if before > 0 else "at"
        text = f"RSS was {memory}, {when} the last record"
        if self.holders:
            age = memory.ms - self.pressed
            earlier = f", {duration(age)} earlier," if age >= OLD else ""
            text += f"; the largest holders{earlier} were {'; '.join(self.holders)}"
        return text

    def _following(self, others: Sequence[Life]) -> Life | None:
        """Return the first scheduler that started after its last record, or None."""
        later = [other for other in others if other.first > self.last]
        return min(later, key=lambda other: other.first, default=None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r}: {self.first} to {self.last} ms>"


class Lives:
    """The lives of the schedulers of a log, the oldest first.

    Parameters
    ----------
    limit : int, optional
        Schedulers to remember, 3 KB each at most. Beyond it the oldest is evicted.
    """

    def __init__(self, limit: int = SCHEDULERS) -> None:
        self.limit = limit
        self._lives: dict[str, Life] = {}

    def __len__(self) -> int:
        return len(self._lives)

    def see(self, record: dict[str, Any]) -> None:
        """Note a record; one that is not valid is ignored, as others count it."""
        try:
            ms = milliseconds_of(record)
            name = record["scheduler_id"][:NAME_LENGTH]
            life = self._lives.get(name)
            if life is None:
                life = self._lives[name] = Life(name, ms)
                if len(self._lives) > self.limit:
                    del self._lives[next(iter(self._lives))]
            life.see(ms)
            if record["event_name"] in NOTED:
                life.note(record, ms)
        except InvalidRecord:
            pass

    def killed(self, quiet_at: int | None = None) -> Iterator[tuple[Life, str]]:
        """Yield the schedulers that were killed, each with what the log tells of it.

        `quiet_at` is as for :meth:`Life.fate`.
        """
        lives = [*self._lives.values()]
        for life in lives:
            if life.fate(lives, quiet_at) == "killed":
                yield life, life.verdict(lives)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.limit}>"
