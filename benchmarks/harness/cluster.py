"""A real scheduler process with its own workers, measured from outside."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from distributed import Client, Worker
from distributed.utils import json_load_robust

MIB = 2**20
_UPSTREAM = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
_LEANDASK = [sys.executable, "-m", "leandask.cli.start"]
_RECOMMENDED = Path(__file__).parents[1] / "recommended.yaml"
#: The commands that are compared, by name; {folder} is a new temporary folder.
COMMANDS: dict[str, list[str]] = {
    "upstream": _UPSTREAM,
    "upstream-uvloop": [
        "env",
        "DASK_DISTRIBUTED__ADMIN__EVENT_LOOP=uvloop",
        *_UPSTREAM,
    ],
    "recommended": ["env", f"DASK_CONFIG={_RECOMMENDED}", *_UPSTREAM],
    "leandask": _LEANDASK,
    "leandask-malloc": [
        "env",
        "DASK_LEANDASK__MEMORY__ALLOCATOR=malloc",
        *_LEANDASK,
    ],
    "leandask-asyncio": [
        "env",
        "DASK_DISTRIBUTED__ADMIN__EVENT_LOOP=asyncio",
        *_LEANDASK,
    ],
    "leandask-optimized": ["env", "PYTHONOPTIMIZE=2", *_LEANDASK],
    "leandask-no-limit": ["env", "DASK_LEANDASK__MEMORY__LIMIT=null", *_LEANDASK],
    "runs-logged": [*_LEANDASK, "--event-log={folder}/log.jsonl"],
    "runs-logged-zstd": [*_LEANDASK, "--event-log={folder}/log.jsonl.zst"],
    "archived": [*_LEANDASK, "--event-log=file://{folder}/archive"],
    "archived-in-s3": [*_LEANDASK, "--event-log=s3://bucket/benchmark"],
    "all-logged": [*_LEANDASK, "--log-transitions", "--event-log={folder}/log.jsonl"],
}


def be_quiet() -> None:
    """Hide expected messages: of peers that leave, tasks, large graphs, bounds."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", "Sending large graph")
    warnings.filterwarnings("ignore", "The task stream is cut")


def add_schedulers(parser: argparse.ArgumentParser) -> None:
    """Add an option to choose out of :data:`COMMANDS`."""
    parser.add_argument(
        "--schedulers",
        nargs="+",
        choices=COMMANDS,
        default=["upstream", "leandask"],
        metavar="NAME",
        help=f"any of {', '.join(COMMANDS)}; by default %(default)s",
    )


class Cluster:
    """A scheduler process, a process of one-threaded workers, and a client.

    The name is one of :data:`COMMANDS`.
    """

    def __init__(self, name: str, n_workers: int) -> None:
        self.name = name
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder, "scheduler.json")
        #: Output of all processes.
        self.log = Path(folder, "stderr.log")
        log = self._stack.enter_context(self.log.open("w"))
        self.process = self._start(
            [
                *(arg.format(folder=folder) for arg in COMMANDS[name]),
                "--host=127.0.0.1",
                "--port=0",
                "--dashboard-address=127.0.0.1:0",
                f"--scheduler-file={file}",
            ],
            log,
        )
        # Workers and client wait for the file by themselves.
        if n_workers:
            module = [sys.executable, "-m", "benchmarks.harness.cluster"]
            self._start([*module, str(file), str(n_workers)], log)
        self.client = self._stack.enter_context(Client(scheduler_file=str(file)))
        if n_workers:
            self.client.wait_for_workers(n_workers)
        self._process = psutil.Process(self.process.pid)
        info = self.client.scheduler_info()
        self.address: str = info["address"]
        #: Host and port of the dashboard.
        self.dashboard = ("127.0.0.1", info["services"]["dashboard"])
        #: Value that a scenario keeps between its steps.
        self.kept: Any = None

    def _start(self, args: list[str], log: object) -> subprocess.Popen[bytes]:
        # psutil measures this process only, not what a launcher would start.
        process = subprocess.Popen(args, stdout=log, stderr=log)  # type: ignore[arg-type]
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process

    @property
    def rss(self) -> float:
        """RSS of the scheduler's process, in MiB."""
        return self._process.memory_info().rss / MIB

    @property
    def cpu(self) -> float:
        """CPU time of the scheduler's process, in seconds."""
        times = self._process.cpu_times()
        return times.user + times.system

    @property
    def peak(self) -> float:
        """Largest RSS that the scheduler's process ever had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def ask(self, function: Callable[..., Any], **kwargs: Any) -> Any:
        """Run a function on the scheduler, which is passed as `dask_scheduler`."""
        return self.client.run_on_scheduler(function, **kwargs)

    def close(self) -> None:
        """Kill all processes."""
        self._stack.close()


@contextlib.contextmanager
def clusters(names: Sequence[str], n_workers: int) -> Iterator[list[Cluster]]:
    """Start a cluster for each name in :data:`COMMANDS`, and stop them at the end."""
    with contextlib.ExitStack() as stack:
        started = []
        for name in names:
            cluster = Cluster(name, n_workers)
            stack.callback(cluster.close)
            started.append(cluster)
        yield started


async def _run_workers(scheduler_file: str, n_workers: int) -> None:
    address = json_load_robust(scheduler_file)["address"]
    workers = [Worker(address, nthreads=1, dashboard=False) for _ in range(n_workers)]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    asyncio.run(_run_workers(sys.argv[1], int(sys.argv[2])))
