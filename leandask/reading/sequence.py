"""Sequence: the numbers of a scheduler's records; a gap shows lost records."""

from __future__ import annotations

from pathlib import Path

from leandask.reading.problems import Problems

#: Schedulers whose numbers are remembered, 300 bytes each.
SCHEDULERS = 1000


class Sequence:
    """The numbers of one scheduler's records, in the order of the log.

    Examples
    --------
    >>> sequence = Sequence()
    >>> [sequence.step(seq) for seq in (7, 8, 11, 10)]
    [0, 0, 2, -2]
    >>> sequence
    <Sequence: 7 to 11, 2 missing, 1 late>
    """

    __slots__ = ("first", "late", "missing", "next")

    def __init__(self) -> None:
        #: Number of the first record in the log; 0 before that.
        self.first = 0
        #: Number of the next record if none is missing.
        self.next = 0
        #: Records missing in the gaps, and records that came late or twice.
        self.missing = self.late = 0

    def step(self, seq: int) -> int:
        """Count the next record.

        Returns
        -------
        int
            Records that are missing before it. If it comes late or twice this is
            negative: by how much its number goes back.
        """
        if not self.first:
            self.first = self.next = seq
        ahead = seq - self.next
        if ahead < 0:
            self.late += 1
        else:
            self.missing += ahead
            self.next = seq + 1
        return ahead

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.first} to {self.next - 1}, "
            f"{self.missing} missing, {self.late} late>"
        )


class Sequences:
    """The sequences of all schedulers of a log.

    Parameters
    ----------
    problems : Problems
        Gets the gaps, the repeated numbers and the further schedulers.
    limit : int, optional
        Schedulers to remember. Beyond it the least recently seen one is evicted.
    from_start : bool, optional
        Whether it is a problem if the first number of a scheduler is not 1.
    """

    #: Scheduler of the last record, and its numbers.
    scheduler_id: str
    current: Sequence

    def __init__(
        self, problems: Problems, limit: int = SCHEDULERS, from_start: bool = True
    ) -> None:
        self._from_start = from_start
        self.scheduler_id = ""
        self.current = Sequence()
        self._problems = problems
        self._limit = limit
        #: Sequences of the other schedulers, the least recently seen first.
        self._others: dict[str, Sequence] = {}

    def step(self, scheduler_id: str, seq: int, path: Path, line: int) -> None:
        """Count the next record, and add a problem if its number is wrong."""
        if scheduler_id != self.scheduler_id:
            self._switch(scheduler_id, seq, path, line)
        expected = self.current.next
        ahead = self.current.step(seq)
        if ahead > 0:
            self._problems.missing += ahead
            text = f"{ahead} records are missing between {expected - 1} and {seq}"
            self._problems.add("gap", path, line, text)
        elif ahead < 0:
            text = f"record {seq} comes after {expected - 1}"
            self._problems.add("repeated", path, line, text)

    def _switch(self, scheduler_id: str, seq: int, path: Path, line: int) -> None:
        if self.scheduler_id:
            self._others[self.scheduler_id] = self.current
            if len(self._others) > self._limit:
                del self._others[next(iter(self._others))]
        is_new = scheduler_id not in self._others
        if is_new and self.scheduler_id:
            text = f"records of {scheduler_id} begin after those of {self.scheduler_id}"
            self._problems.add("scheduler", path, line, text)
        if is_new and seq != 1 and self._from_start:
            text = f"the first record of {scheduler_id} has the number {seq}"
            self._problems.add("cut", path, line, text)
        self.scheduler_id = scheduler_id
        self.current = Sequence() if is_new else self._others.pop(scheduler_id)
