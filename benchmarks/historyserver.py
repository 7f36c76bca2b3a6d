"""The history server: the list of many runs, the page of a large one, and memory.

Run ``python -m benchmarks.historyserver``; see ``--help``. The logs are made first: a
run of a million tasks takes 0.6 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.harness.cluster import MIB
from leandask.eventlog.formatter import JSONFormatter
from leandask.records.times import rfc3339

#: Seconds since the epoch of the first record, and between two.
BEGIN, STEP = 1795521452.0, 0.001
WORKERS, PREFIXES = 100, 50


def record(i: int, event_name: str, scheduler_id: str, **fields: Any) -> dict[str, Any]:
    """Return a record of a run."""
    return {
        "timestamp": rfc3339(BEGIN + i * STEP),
        "severity": "INFO",
        "severity_number": 9,
        "logger": "leandask.tasks",
        "message": event_name,
        "event_name": event_name,
        "schema_version": 1,
        "scheduler_id": scheduler_id,
        "seq": i,
        **fields,
    }


def task(i: int, scheduler_id: str) -> dict[str, Any]:
    """Return the record of a run of a task; one in a thousand erred."""
    prefix, worker = f"step{i % PREFIXES}", f"tcp://10.0.0.1:{4000 + i % WORKERS}"
    fields: dict[str, Any] = {
        "task_key": f"{prefix}-{i:032x}",
        "task_prefix": prefix,
        "task_group": f"{prefix}-group",
        "worker": worker,
        "worker_name": worker,
        "retries_left": 0,
        "run_id": i,
        "worker_thread": 140_000_000 + i % 4,
        "stimulus_id": f"task-finished-{i}",
        "run_start": rfc3339(BEGIN + i * STEP - 0.5),
        "compute_seconds": 0.001 * (i % 400),
        "transfer_seconds": 0.0001 * (i % 50),
    }
    if i % 1000:
        fields |= {"nbytes": 8 * (i % 10_000), "type": "numpy.ndarray"}
        return record(i, "dask.task.finished", scheduler_id, **fields)
    fields |= {
        "blamed_key": fields["task_key"],
        "exception_type": "ValueError",
        "exception_text": f"ValueError('{i}')",
        "exception": 'File "load.py", line 7, in load\n    raise ValueError\n',
    }
    return record(i, "dask.task.erred", scheduler_id, **fields)


def write_run(path: Path, scheduler_id: str, tasks: int) -> None:
    """Write the log of a run."""
    encode = JSONFormatter().encode_fields
    with path.open("wb") as file:
        start = {"address": "tcp://10.0.0.1:8786", "distributed_version": "2026.8.0"}
        first = record(1, "dask.scheduler.start", scheduler_id, **start)
        file.write(encode(first) + b"\n")
        for i in range(2, tasks + 2):
            if i % 10_000 == 0:
                rss = {"rss": (300 + i // 10_000) * MIB, "limit": 1024 * MIB}
                counts = {"interval": 10.0, "workers": WORKERS, "tasks": i % 5000}
                fields = record(i, "leandask.sample", scheduler_id, **rss, **counts)
            else:
                fields = task(i, scheduler_id)
            file.write(encode(fields) + b"\n")
        last = record(tasks + 2, "dask.scheduler.stop", scheduler_id, reason="done")
        file.write(encode(last) + b"\n")


class Cost(NamedTuple):
    """What a page took: of its process, CPU and the highest RSS."""

    seconds: float
    cpu_seconds: float
    #: MiB.
    rss: float
    #: Of the answer.
    megabytes: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} s of CPU, "
            f"{self.rss:.0f} MiB, answer {self.megabytes:.2f} MB"
        )


class Server:
    """A server of some logs."""

    def __init__(self, logs: Path | str, index: Path, *options: str) -> None:
        command = [sys.executable, "-m", "leandask", "history", str(logs)]
        command += ["--port", "0", "--index", str(index), *options]
        self.popen = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.popen.stderr is not None
        found = re.search(r"at (\S+)/\n", self.popen.stderr.readline())
        assert found
        self.url = found[1]

    def get(self, path: str) -> tuple[float, bytes]:
        """Return the seconds until an answer, and the answer."""
        start = time.perf_counter()
        with urllib.request.urlopen(self.url + path, timeout=3600) as answer:
            content = answer.read()
        return time.perf_counter() - start, content

    def wait_for_runs(self, n: int) -> None:
        """Wait until all runs are in the index."""
        while json.loads(self.get("/api/v1/runs?per_page=1")[1])["total"] < n:
            time.sleep(0.1)

    def wait_for_tasks(self, run: str, n: int) -> None:
        """Wait until a log was read to its end."""
        while json.loads(self.get(f"/api/v1/runs/{run}")[1])["tasks"] < n:
            time.sleep(0.1)

    def watch_worker(self, path: str) -> Cost:
        """Return what a page took."""
        peak, done = [0], threading.Event()
        # By process.
        cpu: dict[int, float] = {}

        def watch() -> None:
            while not done.wait(0.05):
                for child in psutil.Process(self.popen.pid).children():
                    try:
                        if "leandask.historyserver.runpage.worker" in child.cmdline():
                            peak[0] = max(peak[0], child.memory_info().rss)
                            cpu[child.pid] = sum(child.cpu_times()[:2])
                    except psutil.Error:
                        continue

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            seconds, content = self.get(path)
        finally:
            done.set()
            thread.join()
        return Cost(seconds, sum(cpu.values()), peak[0] / MIB, len(content) / 1e6)

    @property
    def rss(self) -> float:
        """MiB of the server's own process."""
        return psutil.Process(self.popen.pid).memory_info().rss / MIB

    def close(self) -> None:
        """Stop it."""
        self.popen.terminate()
        self.popen.wait()
        assert self.popen.stderr is not None
        self.popen.stderr.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "many").mkdir()
        for i in range(given.runs):
            write_run(root / "many" / f"{i}.jsonl", f"Scheduler-{i}", 5)
        start = time.perf_counter()
        server = Server(root / "many", root / "many.sqlite")
        try:
            server.wait_for_runs(given.runs)
            print(f"index of {given.runs} runs: {time.perf_counter() - start:.1f} s")
            print(f"first list: {server.get('/')[0] * 1000:.0f} ms")
            for query in ("", "?sort=-erred&page=50", "?q=999", "?prefix=step3"):
                seconds = min(server.get(f"/{query}")[0] for _ in range(5))
                print(f"list {query or 'again'}: {seconds * 1000:.0f} ms")
            print(f"RSS of the server: {server.rss:.0f} MiB")
        finally:
            server.close()
        (root / "one").mkdir()
        write_run(root / "one" / "log.jsonl", "large", given.tasks)
        start = time.perf_counter()
        patient = ("--page-timeout", "1 h")  # of the machine's other work
        server = Server(root / "one", root / "one.sqlite", *patient)
        try:
            server.wait_for_runs(1)
            server.wait_for_tasks("large", given.tasks * 99 // 100)
            took = time.perf_counter() - start
            print(f"index of a run of {given.tasks} tasks: {took:.1f} s")
            for part in ("overview", "tasks"):
                cost = server.watch_worker(f"/api/v1/runs/large/{part}")
                print(f"{part} first: {cost}")
            for part in ("overview", "tasks", "errors", "workers"):
                seconds = server.get(f"/api/v1/runs/large/{part}")[0]
                print(f"{part} again: {seconds * 1000:.0f} ms")
            for path in ("events?level=WARNING", f"story?key=step7-{7:032x}"):
                cost = server.watch_worker(f"/api/v1/runs/large/{path}")
                print(f"{path[:6]}: {cost}")
            for path in ("timeline", "report", "log"):
                print(f"{path}: {server.watch_worker(f'/runs/large/{path}')}")
            print(f"RSS of the server: {server.rss:.0f} MiB")
        finally:
            server.close()


if __name__ == "__main__":
    main()
