"""The curve of a scheduler's memory, sampled from outside while a load runs."""

from __future__ import annotations

import threading
import time

from benchmarks.harness.cluster import Cluster


class Sampler(threading.Thread):
    """Samples the memory of a scheduler, every `interval` seconds."""

    def __init__(self, cluster: Cluster, interval: float = 0.25) -> None:
        super().__init__(daemon=True)
        self.interval = interval
        self.cluster = cluster
        #: Seconds since the start, and MiB.
        self.samples: list[tuple[float, float]] = []
        self._begun = time.monotonic()
        self._stopped = threading.Event()

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._stopped.set()
        self.join()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self._begun, 2)

    def run(self) -> None:
        """Sample until the context ends."""
        while not self._stopped.wait(self.interval):
            self.samples.append((self.now, round(self.cluster.rss, 2)))
