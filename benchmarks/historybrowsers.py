"""The history server before many real browsers: a list of many runs, and live runs.

Run ``python -m benchmarks.historybrowsers``; see ``--help``. It needs selenium, and
chromium with chromedriver.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.historyreaders import Load
from benchmarks.historyserver import Server, record, task, write_run
from leandask.eventlog.formatter import JSONFormatter
from leandask.historyserver.web.pages import FRAMES, VIEWS
from tests.helpers.browser import console, start_chromium
from tests.helpers.processes import wait_for

#: Seconds that a page may take, between two looks at it, and between two records.
TIMEOUT, LOOK, GROW = 1800, 0.2, 0.5
#: Returns nothing while a page waits, and then its seconds and what it says is wrong. A
#: list is complete when it was parsed, and its script ran.
READY = """
if (document.getElementById("waiting")) return null;
const isList = document.body.dataset.page === "runs";
const list = performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd;
const problems = [...document.querySelectorAll(".problem")].map(e => e.textContent);
return [(isList ? list : performance.now()) / 1000, problems];
"""
LINKS = "return [...document.querySelectorAll(arguments[0])].map(a => a.href)"
TASKS = "return document.querySelector('[data-field=tasks]').textContent"


class LiveRun:
    """A run that goes on: its log grows by a run of a task at a time."""

    def __init__(self, path: Path, scheduler_id: str) -> None:
        self.id = scheduler_id
        #: When each task was written.
        self.written: list[float] = []
        self._file = path.open("wb", buffering=0)
        self._encode = JSONFormatter().encode_fields
        start = {"address": "tcp://10.0.0.1:8786", "distributed_version": "2026.8.0"}
        self._write(record(1, "dask.scheduler.start", scheduler_id, **start))

    def grow(self) -> None:
        """Write the run of a task that did not err."""
        n = len(self.written) + 1
        self.written.append(time.perf_counter())
        self._write(task(1000 * n + 1, self.id) | {"seq": n + 1})

    def _write(self, fields: dict[str, Any]) -> None:
        self._file.write(self._encode(fields) + b"\n")


class Browsers(Load):
    """Browsers before a server, each with a profile of its own, and what they saw.

    Parameters
    ----------
    server : Server
    drivers : list
        The browsers: those that follow a live run, then the others.
    live : list of LiveRun
    last_page : int
        Of the list, from 1.
    pause : float
        Seconds for which a reader looks at a page.
    """

    def __init__(
        self,
        server: Server,
        drivers: list[Any],
        live: list[LiveRun],
        last_page: int,
        pause: float,
    ) -> None:
        super().__init__(server, [])
        self.drivers, self.live, self.last_page = drivers, live, last_page
        self.pause = pause
        #: Messages of the consoles.
        self.messages: Counter[str] = Counter()

    def open(self, driver: Any, kind: str, url: str) -> None:
        """Look at a page until it is complete."""
        driver.get(url)
        seconds, problems = wait_for(
            lambda: driver.execute_script(READY), TIMEOUT, LOOK
        )
        self.seconds[kind].append(seconds)
        self.statuses["; ".join(problems) or "complete"] += 1
        self.messages.update(console(driver))

    def run(self, readers: int, live: int, seconds: float) -> None:
        """Let them read for a while, while runs go on."""
        writer = threading.Thread(target=self._write)
        writer.start()
        super().run(readers, live, seconds)
        writer.join()

    def _write(self) -> None:
        while not self.stopped.wait(GROW):
            for run in self.live:
                run.grow()

    def _read(self, number: int) -> None:
        """Go from a page of the list to a run and all its parts, and back."""
        driver = self.drivers[number]
        self.stopped.wait(self.pause * number / len(self.drivers))  # not all at once
        for i in itertools.count(number):
            page = i % self.last_page + 1
            self.open(driver, "list", f"{self.server.url}/?sort=-tasks&page={page}")
            runs = driver.execute_script(LINKS, "#runs td.name a")
            run = runs[number % len(runs)]
            for view in (*VIEWS, *FRAMES):
                if self.stopped.wait(self.pause):
                    return
                self.open(driver, view, f"{run}?view={view}")
                if self.stopped.wait(self.pause):
                    return
                self.open(driver, "list", f"{self.server.url}/?q=Scheduler-{page}")

    def _follow(self, number: int) -> None:
        """Look at a run that goes on, and note when each of its tasks shows."""
        driver, run = self.drivers[number], self.live[number % len(self.live)]
        self.open(driver, "overview", f"{self.server.url}/runs/{run.id}")
        seen = 0
        while not self.stopped.wait(LOOK):
            shown = int(driver.execute_script(TASKS).replace(",", ""))
            now = time.perf_counter()
            delays = [now - at for at in run.written[seen:shown]]
            if seen:  # the others were there before the page
                self.seconds["from a log to its page"] += delays
            seen = shown
        self.messages.update(console(driver))

    def show(self) -> None:
        """Print what they saw."""
        super().show()
        print(f"messages of the consoles: {dict(self.messages)}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--live", type=int, default=10, help="that follow live runs")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--pause", type=float, default=20, help="seconds at a page")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=100_000, help="of the long runs")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (root / "logs").mkdir()
        for i in range(given.runs):
            n = given.tasks if i < 3 else 5
            write_run(root / "logs" / f"{i}.jsonl", f"Scheduler-{i}", n)
        live = [LiveRun(root / "logs" / f"live-{i}.jsonl", f"Live-{i}") for i in (1, 2)]
        server = Server(root / "logs", root / "index.sqlite", "--page-timeout", "30m")
        stack.callback(server.close)

        def start(number: int) -> Any:
            driver = start_chromium(root / f"profile-{number}", "eager")
            driver.command_executor.client_config.timeout = TIMEOUT
            stack.callback(driver.quit)
            return driver

        # More at a time would be too slow for their drivers.
        with ThreadPoolExecutor(2) as pool:
            drivers = [*pool.map(start, range(given.browsers))]
        server.wait_for_runs(given.runs + len(live))
        last_page = json.loads(server.get("/api/v1/runs")[1])["pages"]
        browsers = Browsers(server, drivers, live, last_page, given.pause)
        browsers.run(given.browsers, given.live, given.seconds)
        browsers.show()


if __name__ == "__main__":
    main()
