"""How late a scheduler's event loop is while clients ask it about its past.

Run ``python -m benchmarks.history``; see ``--help``. The scheduler is a process of its
own, with a long event log; a client asks for an action that never happened, so that
the whole log is read.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import leandask
from benchmarks.harness.cluster import Cluster
from benchmarks.reader import generate

TICK = 0.001  # seconds that the event loop sleeps


async def lateness(seconds: float, dask_scheduler: Any = None) -> list[float]:
    """Return how late the scheduler's event loop was, in ms, at each tick."""
    late, end = [], time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(TICK)
        late.append((time.perf_counter() - now - TICK) * 1000)
    return sorted(late)


def ask_until(stopped: threading.Event, cluster: Cluster, asked: list[Any]) -> None:
    """Ask until the event is set; add the seconds of each answer, and if truncated."""
    while not stopped.is_set():
        begun = time.perf_counter()
        answer = leandask.get_history(cluster.client, action="nothing")
        asked.append((time.perf_counter() - begun, answer["truncated"]))


def show(name: str, late: list[float]) -> None:
    """Print quantiles."""
    at = [late[int(len(late) * q)] for q in (0.5, 0.99, 0.999)]
    print(f"{name:8}" + "".join(f"{ms:9.2f}" for ms in (*at, late[-1])))


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    cluster = Cluster("all-logged", 0)
    try:
        report = leandask.get_report(cluster.client)
        generated = Path(report["event_log"]["path"]).with_name("generated.jsonl")
        generate(generated, args.records)
        with open(report["event_log"]["path"], "ab") as log:
            log.write(generated.read_bytes())
        print(f"{'ms':8}{'median':>9}{'99 %':>9}{'99.9 %':>9}{'longest':>9}")
        show("calm", cluster.client.run_on_scheduler(lateness, args.seconds))
        stopped, asked = threading.Event(), []
        asking = threading.Thread(target=ask_until, args=(stopped, cluster, asked))
        asking.start()
        late = cluster.client.run_on_scheduler(lateness, args.seconds)
        stopped.set()
        asking.join()
        show("asked", late)
        seconds = sum(s for s, _ in asked) / len(asked)
        print(f"{len(asked)} answers, {seconds:.2f} s each for {args.records} records")
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
