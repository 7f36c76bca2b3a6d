"""Seldom: what is said once a minute at most, however often there is cause."""

from __future__ import annotations

import time


class Seldom:
    """Tells whether it is time again.

    Parameters
    ----------
    seconds : float
        Between two times.

    Examples
    --------
    >>> warning = Seldom(60)
    >>> warning.is_due(), warning.is_due()
    (True, False)
    """

    __slots__ = ("_due_at", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._due_at = -float("inf")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: each {self.seconds:g} s at most>"

    def is_due(self) -> bool:
        """Whether it is time; if so, it is not for these seconds."""
        now = time.monotonic()
        if now < self._due_at:
            return False
        self._due_at = now + self.seconds
        return True
