"""A client sends more tasks than fit, while another one computes all the time.

Run ``python -m benchmarks.refused``; see ``--help``. Each scheduler runs in a control
group with a memory limit, which root may make: the kernel kills it if it passes that.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from distributed import Client

from benchmarks.harness.cluster import Cluster, add_schedulers, be_quiet
from benchmarks.tasks import increment, set_limit

MIB = 2**20
#: Where the control groups of v1 and of v2 are, and the files of a limit.
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
#: Seconds before the tasks are sent, and after they were answered.
ALONE = 15.0


@contextlib.contextmanager
def limited(pid: int, mib: int) -> Iterator[Path]:
    """Put a process into a new control group with a limit in MiB."""
    is_v1 = V1.is_dir()
    folder = (V1 if is_v1 else V2) / f"leandask-{pid}"
    folder.mkdir()
    limit = "memory.limit_in_bytes" if is_v1 else "memory.max"
    (folder / limit).write_text(str(mib * MIB))
    (folder / "cgroup.procs").write_text(str(pid))
    try:
        yield folder
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
        time.sleep(1)  # the kernel frees it after the process has ended
        folder.rmdir()


class Computing(threading.Thread):
    """A client that computes 100 tasks again and again."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.client = Client(address, set_as_default=False)
        #: When each round was done.
        self.done: list[float] = []
        self.is_over = False

    def run(self) -> None:
        """Compute until it is over, or the scheduler is."""
        number = 0
        with contextlib.suppress(Exception):
            while not self.is_over:
                tasks = range(number, number + 100)
                self.client.gather(self.client.map(increment, tasks))
                number += 100
                self.done.append(time.monotonic())

    def rate(self, begin: float, end: float) -> float:
        """Return the tasks per second between two times."""
        rounds = [at for at in self.done if begin <= at < end]
        return 100 * len(rounds) / (end - begin)


def measure(name: str, mib: int, count: int) -> str:
    """Send so many tasks; return a row of what happened."""
    cluster = Cluster(name, 2)
    with limited(cluster.process.pid, mib):
        if name != "upstream":  # it has looked for the limit at its start
            cluster.ask(set_limit, limit=mib)
        computing = Computing(cluster.address)
        computing.start()
        begun = time.monotonic()
        time.sleep(ALONE)
        sent = time.monotonic()
        futures = cluster.client.map(increment, range(-count, 0))
        error = ""
        while cluster.process.poll() is None and not error:
            time.sleep(0.2)
            for future in (futures[0], futures[-1]):
                if future.status == "error":
                    error = str(future.exception())
        answered = time.monotonic()
        while cluster.process.poll() is None and any(
            f.status != "error" for f in futures[:: max(count // 1000, 1)]
        ):
            time.sleep(0.5)
        all_answered = time.monotonic()
        time.sleep(ALONE)
        is_alive = cluster.process.poll() is None
        peak = f"{cluster.peak:.0f}" if is_alive else "–"
        computing.is_over = True
        rates = (
            computing.rate(begun + 2, sent),
            computing.rate(sent, answered),
            computing.rate(answered, all_answered),
            computing.rate(all_answered, all_answered + ALONE),
        )
        print(error or "no error")
        shown = " | ".join(f"{rate:.0f}" for rate in rates)
        seconds = f"{answered - sent:.0f} | {all_answered - sent:.0f}"
        fate = "refused" if is_alive else f"killed ({cluster.process.returncode})"
        return f"| {name} | {fate} | {peak} | {seconds} | {shown} |"


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.refused", description=__doc__
    )
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--tasks", type=int, default=2_000_000)
    add_schedulers(parser)
    args = parser.parse_args()
    be_quiet()
    rows = [measure(name, args.mib, args.tasks) for name in args.schedulers]
    print(
        "| | | peak, MiB | s to the first answer | to the last | tasks/s before "
        "| until the first answer | until the last | after |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
