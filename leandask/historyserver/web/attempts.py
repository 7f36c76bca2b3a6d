"""Attempts: wrong passwords of each address, which bound how fast one can guess."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

#: Wrong passwords of an address that are its own mistakes, and the seconds after which
#: it has one more.
FREE, SECONDS = 10, 2.0
#: Addresses that are remembered, 300 bytes each.
ADDRESSES = 10_000


class Attempts:
    """The wrong passwords of each address, in bounded memory.

    Parameters
    ----------
    limit : int, optional
        Addresses to remember. Beyond it, the one that failed longest ago is forgotten.
    clock : callable, optional
        Returns seconds.

    Examples
    --------
    >>> attempts = Attempts()
    >>> for _ in range(10):
    ...     attempts.add("192.0.2.1")
    >>> attempts.wait("192.0.2.1") > 0, attempts.wait("192.0.2.2")
    (True, 0.0)
    """

    def __init__(
        self, limit: int = ADDRESSES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit = limit
        self._clock = clock
        #: When all attempts of an address will be forgotten.
        self._until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._until)}/{self.limit}>"

    def wait(self, address: str) -> float:
        """Return the seconds until an address may try a password; 0 for at once."""
        until = self._until.get(_network(address), 0.0)
        return max(until - self._clock() - (FREE - 1) * SECONDS, 0.0)

    def add(self, address: str) -> None:
        """Note a wrong password."""
        name, now = _network(address), self._clock()
        until = self._until.pop(name, 0.0)
        if len(self._until) >= self.limit:
            del self._until[next(iter(self._until))]
        self._until[name] = max(until, now) + SECONDS


def _network(address: str) -> str:
    """Return what one reader has: of IPv6 that is a network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:50]
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
