"""What an archive takes: memory of the scheduler, and lateness of its event loop.

Run ``python -m benchmarks.archive``, with ``s3fs`` and ``moto[server]``: prints a table
in Markdown. Each scheduler gets events of 1 kB for a minute: one without an archive,
and three whose archive is on their disk, in a bucket, and in one that never answers.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.scenarios import wait_until
from benchmarks.tasks import lateness, n_uploads, settle

#: Seconds of events, and how many come in each.
SECONDS, RATE = 60.0, 75
#: Of the schedulers, and of the server of S3 that takes all.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "DASK_LEANDASK__EVENT_LOG__ARCHIVE_INTERVAL": "10 s",
}


@contextmanager
def port_without_answers() -> Iterator[int]:
    """Listen on a port, and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def s3_server() -> Iterator[int]:
    """Start a server of S3 with a bucket."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        wait_until(lambda: makes_bucket(port))
        yield port
    finally:
        server.kill()
        server.wait()


def makes_bucket(port: int) -> bool:
    """Whether the server is there, and has a bucket now."""
    key = "AWS4-HMAC-SHA256 Credential=x/y/us-east-1/s3/aws4_request"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/bucket", method="PUT", headers={"Authorization": key}
    )
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except OSError:
        return False
    return True


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
    os.environ.update(ENVIRONMENT)
    print("| archive | RSS, MiB | event loop's lateness, p99, ms | uploads |")
    print("|---|---:|---:|---:|")
    print("| none, a compressed log |", measure("runs-logged-zstd"), flush=True)
    print("| on the disk |", measure("archived"), flush=True)
    for what, server in (("in S3", s3_server), ("that hangs", port_without_answers)):
        with server() as port:
            os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
            print(f"| {what} |", measure("archived-in-s3"), flush=True)


if __name__ == "__main__":
    main()
