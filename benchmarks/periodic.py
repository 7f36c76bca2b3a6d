"""CPU of what a lean scheduler does from time to time.

Run ``python -m benchmarks.periodic``. The scheduler has an event log, some workers, and
10,000 tasks in memory.
"""

from __future__ import annotations

from typing import Any

from distributed import wait

from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.tasks import increment

#: Calls of each.
CALLS = 200


def measure(dask_scheduler: Any = None) -> dict[str, float]:
    """Return µs of CPU of each, the median; runs on the scheduler."""
    import time
    from statistics import median

    extension = dask_scheduler.extensions["leandask"]
    calls = {
        "a look at the memory": extension.guard.look,
        "a sample": dask_scheduler.periodic_callbacks["leandask-samples"].callback,
        "the report": extension.report,
    }
    found = {}
    for name, call in calls.items():
        took = []
        for _ in range(CALLS):
            begun = time.thread_time()
            call()
            took.append(time.thread_time() - begun)
        found[name] = median(took) * 1e6
    return found


def main() -> None:
    """Measure, and print a table in Markdown."""
    be_quiet()
    cluster = Cluster("runs-logged", 4)
    try:
        futures = cluster.client.map(increment, range(10_000))
        wait(futures)
        print("| | CPU, µs |")
        print("|---|---:|")
        for name, microseconds in cluster.ask(measure).items():
            print(f"| {name} | {microseconds:.0f} |")
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
