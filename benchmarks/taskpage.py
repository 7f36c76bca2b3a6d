"""The page of a log of a million runs of tasks: time, memory, size, and the browser.

Run ``python -m benchmarks.taskpage``; see ``--help``. It needs selenium, chromium and
chromedriver. The log is made first, as a scheduler would write it: 750 MB.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.harness.cluster import MIB
from leandask.eventlog.formatter import JSONFormatter
from leandask.records.factory import RecordFactory
from leandask.records.taskruns import Failure, RunRecords

#: Seconds since the epoch of the first run.
BEGIN = 1795521452.0
WORKERS, THREADS, PREFIXES = 50, 4, 20
#: What is run in the page: it moves the range as a pointer does, a step a frame.
PAN = """
const done = arguments[0], canvas = document.querySelector("#stream canvas");
const box = canvas.getBoundingClientRect(), frames = 120;
const times = [];
let n = 0;
const step = now => {
  times.push(now);
  if (n++ === frames) { done(times); return; }
  canvas.dispatchEvent(new WheelEvent("wheel", {
    deltaX: (n % 60 < 30 ? 1 : -1) * 25, clientX: box.left + 600, cancelable: true}));
  requestAnimationFrame(step);
};
requestAnimationFrame(step);
"""


def generate(file: Path, runs: int) -> None:
    """Write the log of so many runs: 200 threads, 20 prefixes of unlike length."""
    rng = random.Random(0)
    factory = RecordFactory("Scheduler-5a0f4a2e-8f0e-4c6e-b8c3-8f7b6f0e9b0e")
    records, encode = RunRecords(factory), JSONFormatter().encode_fields
    groups = [
        SimpleNamespace(
            prefix=SimpleNamespace(name=f"step-{i}"), name=f"step-{i}", span_id="a-1"
        )
        for i in range(PREFIXES)
    ]
    threads = [[BEGIN, 0] for _ in range(WORKERS * THREADS)]
    with file.open("wb", buffering=MIB) as f:
        for seq in range(1, runs + 1):
            number = rng.randrange(len(threads))
            group = rng.choice(groups)
            worker = f"tcp://10.0.0.{number // THREADS}:4000"
            start = threads[number][0] + rng.expovariate(1 / 0.003)
            compute = rng.lognormvariate(-4 + int(group.name[5:]) / 5, 0.8)
            stop = threads[number][0] = start + compute
            startstops = [{"action": "compute", "start": start, "stop": stop}]
            if rng.random() < 0.1:
                moved = start - rng.expovariate(1 / 0.002)
                startstops += [{"action": "transfer", "start": moved, "stop": start}]
            thread, nbytes = 139978865538752 + number, rng.randrange(10**6)
            stimulus = f"task-finished-{stop}"
            told = seq, thread, nbytes, "numpy.ndarray", stimulus, startstops
            key = f"{group.name}-{rng.getrandbits(128):032x}"
            run: Any = (
                stop,
                key,
                group,
                worker,
                f"w{number // THREADS}",
                0,
                None,
                *told,
            )
            if seq % 5000:
                fields = records.finished(seq, run)[2]
            else:
                failure = Failure("ValueError('odd')", "", key, [])
                fields = records.erred(seq, (run, failure, logging.WARNING))[2]
            f.write(encode(fields) + b"\n")


def make_page(log: Path, page: Path) -> None:
    """Make the page with the command, and print what that takes."""
    command = [sys.executable, "-m", "leandask", "performance-report"]
    subprocess.run([*command, str(log), "-o", str(page)], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"{seconds:.1f} s of CPU, RSS {peak:.0f} MiB at most")
    print(f"page {page.stat().st_size / 1e6:.2f} MB")


def look(page: Path) -> None:
    """Open the page in a browser, and print when it has painted and how it moves."""
    from selenium.webdriver.support.wait import WebDriverWait

    from tests.helpers.browser import start_chromium

    driver = start_chromium(page.with_name("profile"))
    try:
        driver.get(page.as_uri())
        ready = "return document.querySelector('#stream canvas').dataset.ready"
        WebDriverWait(driver, 60, 0.05).until(lambda d: d.execute_script(ready))
        first = driver.execute_script(
            "return performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        at = driver.execute_script(ready)
        print(f"first paint {first:.0f} ms, task stream {float(at):.0f} ms")
        for name, clicks in (("whole", 1), ("1/8", 2), ("1/256", 5)):
            for _ in range(clicks):
                driver.find_element("id", "in").click()
            times = driver.execute_async_script(PAN)
            steps = sorted(b - a for a, b in itertools.pairwise(times))
            rate = 1000 * len(steps) / sum(steps)
            print(f"pan at {name}: {rate:.0f} frames/s, slowest {steps[-1]:.0f} ms")
    finally:
        driver.quit()


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--log", type=Path, help="where it is or is to be kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = args.log or Path(folder, "log.jsonl")
        if not log.exists():
            generate(log, args.runs)
        page = Path(folder, "page.html")
        print(f"{args.runs} runs, log {log.stat().st_size / 1e6:.0f} MB")
        make_page(log, page)
        look(page)


if __name__ == "__main__":
    main()
