"""Throttle: limits how often something happens, such as a warning."""

from __future__ import annotations

import time


class Throttle:
    """Lets something happen at most once in so many seconds.

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
        """Return whether it may happen now, and if so, start the wait for the next."""
        now = time.monotonic()
        if now < self._next_at:
            return False
        self._next_at = now + self.seconds
        return True
