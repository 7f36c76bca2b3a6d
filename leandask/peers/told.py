"""What peers tell of themselves: equal texts are one object."""

from __future__ import annotations

from typing import Any

#: Texts that are known at most, and the characters of the longest: 200 kB in all.
MOST, LONGEST = 1000, 100


class Texts:
    """The texts that peers have told, such as versions of packages."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._known)

    def share(self, told: dict[str, Any]) -> None:
        """Replace texts by equal ones that are known, in a dict and the dicts in it."""
        for name, value in told.items():
            if type(value) is str and len(value) <= LONGEST:
                if len(self._known) >= MOST:
                    self._known.clear()
                told[name] = self._known.setdefault(value, value)
            elif type(value) is dict:
                self.share(value)
