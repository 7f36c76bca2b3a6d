"""CPU of what a lean scheduler does from time to time, and bytes of its samples.

Run ``python -m benchmarks.periodic``. The scheduler has an event log, some workers, and
10,000 tasks in memory.
"""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from typing import Any

from distributed import wait

from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.tasks import increment
from leandask.eventlog.frames.codec import codec_of

#: Calls of each.
CALLS = 200
#: Seconds between two samples that are counted, and in a day between those of others.
INTERVAL, USUAL = 0.1, 10


def measure(dask_scheduler: Any = None) -> dict[str, float]:
    """Return µs of CPU of each, the median; runs on the scheduler."""
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


def sizes_of_samples(cluster: Cluster) -> dict[str, float]:
    """Return the bytes of a sample of an idle scheduler, by the kind of its log."""
    time.sleep(CALLS * INTERVAL)
    lines = Path(cluster.log.parent, "log.jsonl").read_bytes().splitlines(keepends=True)
    samples = [line for line in lines if b'"leandask.sample"' in line][-CALLS:]
    text = b"".join(samples)
    sizes = {"plain": len(text), "gzipped when rotated": len(zlib.compress(text))}
    for compression in ("zstd", "gzip"):  # each alone, as in a log that gets no others
        frames = map(codec_of(compression).compress, map(bytearray, samples))
        sizes[f"written as {compression}"] = sum(map(len, frames))
    return {name: size / len(samples) for name, size in sizes.items()}


def main() -> None:
    """Measure, and print a table in Markdown."""
    be_quiet()
    os.environ["DASK_LEANDASK__STREAM__SAMPLE_INTERVAL"] = f"{INTERVAL} s"
    cluster = Cluster("runs-logged", 4)
    try:
        futures = cluster.client.map(increment, range(10_000))
        wait(futures)
        print("| log | bytes of a sample | MB a day |\n|---|---:|---:|")
        for name, size in sizes_of_samples(cluster).items():
            print(f"| {name} | {size:.0f} | {size * 86400 / USUAL / 1e6:.2f} |")
        print("\n| | CPU, µs |\n|---|---:|")
        for name, microseconds in cluster.ask(measure).items():
            print(f"| {name} | {microseconds:.0f} |")
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
