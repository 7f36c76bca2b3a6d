"""The history server under load: many readers at once, and many archived runs.

Run ``python -m benchmarks.historyreaders``; see ``--help``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path

import psutil

from benchmarks.harness.cluster import MIB
from benchmarks.historyserver import Server, record, write_run
from leandask.eventlog.formatter import JSONFormatter
from leandask.records.times import rfc3339

PARTS = ("overview", "tasks", "errors", "workers", "events?level=WARNING")
_WORKER = "leandask.historyserver.runpage.worker"


class Load:
    """Readers of a server, each with a thread, and what they saw.

    Parameters
    ----------
    server : Server
    runs : list of str
        Ids; the readers look at all parts of each.
    """

    def __init__(self, server: Server, runs: list[str]) -> None:
        self.server = server
        self.runs = runs
        self.stopped = threading.Event()
        #: Seconds of the requests, by their kind, and answers by their status.
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[int | str] = Counter()
        #: The highest RSS in MiB of the server, and of a process for a page; and the
        #: most of these at a time.
        self.rss = self.rss_of_page = 0.0
        self.pages = 0

    def run(self, readers: int, live: int, seconds: float) -> None:
        """Let them read for a while."""
        targets = [self._follow] * live + [self._read] * (readers - live)
        threads = [
            threading.Thread(target=target, args=(i,))
            for i, target in enumerate([*targets, self._watch])
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stopped.set()
        for thread in threads:
            thread.join()

    def _ask(self, kind: str, path: str) -> None:
        start = time.perf_counter()
        try:
            with urllib.request.urlopen(self.server.url + path, timeout=600) as answer:
                answer.read()
                self.statuses[answer.status] += 1
        except urllib.error.HTTPError as e:
            self.statuses[e.code] += 1
        self.seconds[kind].append(time.perf_counter() - start)

    def _read(self, number: int) -> None:
        for i in itertools.count(number):
            run = self.runs[i % len(self.runs)]
            for part in PARTS:
                self._ask("list", "/?q=Scheduler" if i % 2 else "/")
                self._ask("run", f"/runs/{run}")
                self._ask(part.partition("?")[0], f"/api/v1/runs/{run}/{part}")
                if self.stopped.is_set():
                    return

    def _follow(self, number: int) -> None:
        run = self.runs[number % len(self.runs)]
        while not self.stopped.wait(0.2):
            self._ask("live", f"/api/v1/runs/{run}/live")  # until the run ends

    def _watch(self, number: int) -> None:
        process = psutil.Process(self.server.popen.pid)
        while not self.stopped.wait(0.05):
            self.rss = max(self.rss, process.memory_info().rss / MIB)
            pages = []
            for child in process.children():
                try:
                    if _WORKER in child.cmdline():
                        pages.append(child.memory_info().rss / MIB)
                except psutil.Error:
                    continue
            self.pages = max(self.pages, len(pages))
            self.rss_of_page = max([self.rss_of_page, *pages])

    def show(self) -> None:
        """Print what they saw."""
        for kind, seconds in sorted(self.seconds.items()):
            ordered = sorted(seconds)
            p50, p99 = (ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
            print(
                f"{kind}: {len(ordered)} requests, p50 {p50 * 1000:.0f} ms, "
                f"p99 {p99 * 1000:.0f} ms, max {ordered[-1] * 1000:.0f} ms"
            )
        print(f"answers by status: {dict(self.statuses)}")
        print(f"RSS of the server: {self.rss:.0f} MiB")
        print(f"processes for pages: {self.pages} with {self.rss_of_page:.0f} MiB")


def write_archived(root: Path, n: int) -> None:
    """Write an archived run: its summary, and a segment."""
    encode = JSONFormatter().encode_fields
    for i in range(n):
        folder = root / f"Scheduler-{i}"
        folder.mkdir(parents=True)
        began = 1795521452.0 - i
        summary = {
            "schema_version": 1,
            "scheduler_id": f"Scheduler-{i}",
            "name": f"nightly-{i % 100}",
            "labels": {"team": f"team-{i % 7}"},
            "address": "tcp://10.0.0.1:8786",
            "started": rfc3339(began),
            "updated": rfc3339(began + 60),
            "ended": rfc3339(began + 60),
            "reason": "scheduler-close",
            "versions": {"distributed": "2026.8.0", "python": "3.13.1"},
            "tasks": i,
            "erred": i % 10,
            "workers_max": 10,
            "prefixes": [f"step{k}" for k in range(20)],
        }
        folder.joinpath("run.json").write_text(json.dumps(summary))
        first = record(1, "dask.scheduler.start", f"Scheduler-{i}")
        name = "20261124T115732.000000Z-000001.jsonl"
        folder.joinpath(name).write_bytes(encode(first) + b"\n")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--live", type=int, default=10, help="readers of live streams")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--tasks", type=int, default=100_000, help="of the long runs")
    parser.add_argument("--archived", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_archived(root / "archive", given.archived)
        for name, url in (
            ("a folder", root / "archive"),
            ("a bucket", (root / "archive").as_uri()),
        ):
            start = time.perf_counter()
            server = Server(url, root / f"{name[2:]}.sqlite")
            try:
                server.wait_for_runs(given.archived)
                took = time.perf_counter() - start
                seconds = [server.get("/")[0] for _ in range(5)]
            finally:
                server.close()
            print(f"{given.archived} archived runs in {name}: {took:.1f} s")
            print(f"their list: {max(seconds) * 1000:.0f} ms at most")
        (root / "logs").mkdir()
        for i in range(20):
            n = given.tasks if i < 3 else 1000
            write_run(root / "logs" / f"{i}.jsonl", f"Scheduler-{i}", n)
        server = Server(root / "logs", root / "logs.sqlite")
        try:
            server.wait_for_runs(20)
            load = Load(server, [f"Scheduler-{i}" for i in range(20)])
            load.run(given.readers, given.live, given.seconds)
            load.show()
        finally:
            server.close()


if __name__ == "__main__":
    main()
