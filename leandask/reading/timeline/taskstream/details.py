"""Details: keys and sizes of the runs of which a page can name them."""

from __future__ import annotations

from typing import NamedTuple

from leandask.reading.taskruns import TaskRun
from leandask.reading.timeline.taskstream.rows import microseconds_of, place_of
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH

#: Runs to keep, and characters of the texts of all: those that erred, then the longest.
#: A run takes 0.33 KB without its texts, and twice as many are held at times: 65 MB at
#: most, of which texts are 32 MB.
DETAILS, CHARACTERS = 50_000, 8_000_000


class Detail(NamedTuple):
    """What the page tells of a run besides its span; the greatest are kept."""

    is_erred: bool
    #: Microseconds, of the start since the epoch.
    compute: int
    start: int
    worker: str
    thread: int
    key: str
    #: -1 if not known.
    nbytes: int
    reason: str


class Details:
    """The runs that erred, and the longest ones, in bounded memory.

    Parameters
    ----------
    limit : int, optional
        Runs to keep; up to twice as many are held meanwhile.
    """

    __slots__ = ("_characters", "_found", "_least", "limit")

    def __init__(self, limit: int = DETAILS) -> None:
        self.limit = limit
        self._found: list[Detail] = []
        self._characters = 0
        # What is not above it was not kept.
        self._least = False, -1

    def add(self, run: TaskRun, start: int) -> None:
        """Add a run that started then."""
        rank = run.status == "erred", microseconds_of(run.compute)
        if rank <= self._least:
            return
        nbytes = -1 if run.nbytes is None else run.nbytes
        # A character more shows that a text was cut.
        key = run.key[: NAME_LENGTH + 1]
        reason = (run.exception_text or "")[: MESSAGE_LENGTH + 1]
        self._found.append(Detail(*rank, start, *place_of(run), key, nbytes, reason))
        self._characters += len(key) + len(reason)
        if len(self._found) > 2 * self.limit or self._characters > CHARACTERS:
            self.keep(min(self.limit, len(self._found) // 2))

    def keep(self, n: int) -> None:
        """Keep the first `n` only, and order them."""
        self._found.sort(reverse=True)
        for gone in self._found[n : n + 1]:
            self._least = gone[:2]
        del self._found[n:]
        self._characters = sum(len(d.key) + len(d.reason) for d in self._found)

    def kept(self) -> list[Detail]:
        """Return those that are kept, the first ones first."""
        self.keep(self.limit)
        return [*self._found]

    def __len__(self) -> int:
        return min(len(self._found), self.limit)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)}/{self.limit}>"
