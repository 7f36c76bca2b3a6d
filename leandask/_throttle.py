"""Throttle: what may happen once in a while at most, such as a warning."""

from __future__ import annotations

import time


class Throttle:
    """Lets something happen once in so many seconds.

    Parameters
    ----------
    seconds : float
        Shortest time between two times.

    Examples
    --------
    >>> warnings = Throttle(60)
    >>> warnings.acquire(), warnings.acquire()
    (True, False)
    """

    __slots__ = ("_next_at", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._next_at = -float("inf")  # time.monotonic()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: once in {self.seconds:g} s>"

    def acquire(self) -> bool:
        """Take the turn if it is time, and tell whether it was."""
        now = time.monotonic()
        if now < self._next_at:
            return False
        self._next_at = now + self.seconds
        return True
