"""A client sends more tasks than fit, while another one computes all the time.

Run ``python -m benchmarks.refused``; see ``--help``. Each scheduler runs in a control
group with a memory limit, which root may make: the kernel kills it if it passes that.

The client that sends has a core of its own, so that what it does with its futures takes
nothing from the others. On other machines than theirs it would not either.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
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


class Computing:
    """A client in a process of its own that computes 100 tasks again and again."""

    def __init__(self, address: str, folder: str) -> None:
        self._file = Path(folder, "done")
        spawn = multiprocessing.get_context("spawn")
        self._process = spawn.Process(
            target=compute, args=(address, self._file), daemon=True
        )
        self._process.start()

    def rate(self, begin: float, end: float) -> float:
        """Return the tasks per second between two times."""
        done = map(float, self._file.read_text().split())
        return 100 * sum(begin <= at < end for at in done) / (end - begin)

    def end(self) -> None:
        """End the process."""
        self._process.kill()


def give_sender_a_core() -> None:
    """Run this process on the last core, and those that it started on the others."""
    cores = sorted(os.sched_getaffinity(0))
    for process in psutil.Process().children(recursive=True):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, cores[:-1] or cores)
    for thread in psutil.Process().threads():
        os.sched_setaffinity(thread.id, cores[-1:])


def compute(address: str, file: Path) -> None:
    """Compute as long as there is a scheduler; note when each round was done."""
    be_quiet()
    number = 0
    with Client(address) as client, file.open("w") as done:
        while True:
            client.gather(client.map(increment, range(number, number + 100)))
            number += 100
            print(time.time(), file=done, flush=True)


def measure(name: str, mib: int, count: int) -> str:
    """Send so many tasks; return a row of what happened."""
    cluster = Cluster(name, 2)
    with tempfile.TemporaryDirectory() as folder, limited(cluster.process.pid, mib):
        if name != "upstream":  # it has looked for the limit at its start
            cluster.ask(set_limit, limit=mib)
        computing = Computing(cluster.address, folder)
        give_sender_a_core()
        begun = time.time()
        time.sleep(ALONE)
        sent = time.time()
        futures = cluster.client.map(increment, range(-count, 0))
        error = ""
        while cluster.process.poll() is None and not error:
            time.sleep(0.2)
            for future in (futures[0], futures[-1]):
                if future.status == "error":
                    error = str(future.exception())
        answered = time.time()
        while cluster.process.poll() is None and any(
            f.status != "error" for f in futures[:: max(count // 1000, 1)]
        ):
            time.sleep(0.5)
        if cluster.process.poll() is None:  # it comes after all of the graph is read
            cluster.client.submit(increment, 0).result(600)
        all_answered = time.time()
        time.sleep(ALONE)
        is_alive = cluster.process.poll() is None
        peak = f"{cluster.peak:.0f}" if is_alive else "–"
        computing.end()
        rates = (
            computing.rate(begun + 5, sent),
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
