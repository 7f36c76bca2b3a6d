"""Allowance: how many lines each of many sources may log."""

from __future__ import annotations

import time


class Allowance:
    """Lets each source do so many things a second, after a burst.

    A source takes a float, while it has used a part of its burst.

    Examples
    --------
    >>> lines = Allowance(rate=0.1, burst=2)
    >>> [lines.acquire("a") for _ in range(3)], lines.acquire("b")
    ([True, True, False], True)
    """

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        # When a source has its whole burst again, by time.monotonic().
        self._whole_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._whole_at)

    def __repr__(self) -> str:
        allowed = f"{self.burst}, then {self.rate:g}/s"
        return f"<{type(self).__name__}: {allowed}, {len(self)} sources>"

    def acquire(self, source: str) -> bool:
        """Return whether a source may do one more thing now, and if so, count it."""
        now = time.monotonic()
        whole_at = max(self._whole_at.get(source, now), now) + 1 / self.rate
        if whole_at > now + self.burst / self.rate:
            return False
        self._whole_at[source] = whole_at
        return True

    def forget_idle(self) -> None:
        """Forget the sources that have their whole burst, among them all that left."""
        now = time.monotonic()
        self._whole_at = {s: at for s, at in self._whole_at.items() if at > now}
