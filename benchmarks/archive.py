"""What an archive takes: memory of the scheduler, and lateness of its event loop.

Run ``python -m benchmarks.archive``, with ``s3fs`` and ``moto[server]``: prints a table
in Markdown. Each scheduler gets events of 1 kB for a minute: one without an archive,
and three whose archive is on their disk, in a bucket, and in one that never answers.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.tasks import lateness, n_uploads, settle
from tests.helpers.buckets import S3

#: Seconds of events, and how many come in each.
SECONDS, RATE = 60.0, 75


def measure(scheduler: str) -> str:
    """Log events for a while; return the cells of a row."""
    cluster = Cluster(scheduler, 0)
    try:
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(cluster.ask, lateness, seconds=SECONDS)
            while not late.done():
                cluster.client.log_event("topic", {"text": os.urandom(500).hex()})
                time.sleep(1 / RATE)
        cluster.ask(settle)
        return f"{cluster.rss:.1f} | {late.result():.2f} | {cluster.ask(n_uploads)} |"
    finally:
        cluster.close()


def main() -> None:
    """Measure, and print a table."""
    be_quiet()
    os.environ["DASK_LEANDASK__EVENT_LOG__ARCHIVE_INTERVAL"] = "10 s"
    print("| archive | RSS, MiB | event loop's lateness, p99, ms | uploads |")
    print("|---|---:|---:|---:|")
    print("| none, a compressed log |", measure("runs-logged-zstd"), flush=True)
    print("| on the disk |", measure("archived"), flush=True)
    with tempfile.TemporaryDirectory() as folder, closing(S3(Path(folder))) as s3:
        os.environ.update(s3.env)
        print("| in S3 |", measure("archived-in-s3"), flush=True)
        s3.way.state = "hangs"
        print("| in S3, which hangs |", measure("archived-in-s3"), flush=True)


if __name__ == "__main__":
    main()
