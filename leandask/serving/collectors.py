"""The collectors of the metrics: ours beside upstream's, none breaks the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from leandask._throttle import Throttle

if TYPE_CHECKING:
    from distributed import Scheduler
    from prometheus_client import Metric

    from leandask.serving.metrics import LeanCollector

logger = logging.getLogger("leandask")

#: Seconds between two warnings about one collector.
WARN_SECONDS = 60.0


class GuardedCollector:
    """Passes on what a collector yields; its exceptions end only its own part.

    A registry has no such guard: one exception takes all metrics of a scrape. In the
    first scrape, when upstream registers its collectors, it takes them for ever:
    https://github.com/dask/distributed/issues/9096.

    Parameters
    ----------
    make : callable
        Makes the collector of a scheduler.
    server : distributed.Scheduler
    """

    def __init__(self, make: Callable[[Any], Any], server: Scheduler) -> None:
        self._collector = make(server)
        self._warning = Throttle(WARN_SECONDS)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {type(self._collector).__name__}>"

    @property
    def server(self) -> Any:
        """The scheduler of the last request."""
        return self._collector.server

    @server.setter
    def server(self, server: Any) -> None:
        self._collector.server = server

    def describe(self) -> list[Metric]:
        """Return nothing: a registry would otherwise call :meth:`collect`."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what the collector yields, as far as it can be written."""
        try:
            for family in self._collector.collect():
                for sample in family.samples:
                    # As prometheus_client does later, where no exception is caught.
                    float(sample.value)
                    "".join(sample.labels.values()).encode()
                yield family
        except Exception:
            if self._warning.acquire():
                name = type(self._collector).__name__
                logger.warning("%s can't collect its metrics", name, exc_info=True)


def make_collector(scheduler: Scheduler) -> LeanCollector:
    """Make the collector of our metrics; called at the first request for them."""
    from leandask.serving.metrics import LeanCollector

    return LeanCollector(scheduler)


OURS = partial(GuardedCollector, make_collector)


def with_ours(makers: list[Any]) -> list[Any]:
    """Return what makes upstream's collectors and ours, each guarded."""
    guarded = [
        each
        if isinstance(each, partial) and each.func is GuardedCollector
        else partial(GuardedCollector, each)
        for each in makers
    ]
    return guarded if OURS in guarded else [*guarded, OURS]
