"""Cost of the records of runs of tasks, in one process and with no cluster.

Run ``python -m benchmarks.taskruns``; see ``--help``. The runs are those of a real
cluster. Each figure is the median of several rounds. What a whole cluster takes is in
``python -m benchmarks.throughput --schedulers upstream leandask runs-logged``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
from distributed import Client, Scheduler, Worker

from benchmarks import stream
from leandask.eventlog.eventlog import EventLog
from leandask.records.loggers import hold_loggers
from leandask.records.stream import RecordStream
from leandask.tasks.taskruns import TaskRuns

#: Runs between two waits for the drain: the queue holds more.
BATCH = 4_000
Message = dict[str, Any]


class Task:
    """A task in processing, whose attributes are as fast as those of a TaskState."""

    __slots__ = "annotations", "group", "processing_on", "retries", "run_id", "state"

    def __init__(self, run_id: int, processing_on: Any, group: Any) -> None:
        self.state, self.retries, self.annotations = "processing", 0, None
        self.run_id, self.processing_on, self.group = run_id, processing_on, group


class Runs:
    """What workers of a real cluster told of the runs of its tasks."""

    messages: list[Message]
    #: The tasks as they were when a message came, by key.
    tasks: dict[Any, Any]
    workers: dict[str, Any]

    def __init__(self) -> None:
        self.messages, self.tasks, self.workers = [], {}, {}

    async def record(self, is_map: bool, count: int) -> None:
        """Run a map, or a graph of an array, on a real cluster."""
        async with (
            Scheduler(host="127.0.0.1", dashboard_address="127.0.0.1:0") as scheduler,
            Worker(scheduler.address, dashboard=False, nthreads=2),
            Worker(scheduler.address, dashboard=False, nthreads=2),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            finished = scheduler.stream_handlers["task-finished"]

            def keep(**message: Any) -> None:
                ts = scheduler.tasks[message["key"]]
                self.messages.append(message)
                worker = self.workers[message["worker"]]
                self.tasks[ts.key] = Task(ts.run_id, worker, ts.group)
                finished(**message)

            scheduler.stream_handlers["task-finished"] = keep
            self.workers = {
                address: SimpleNamespace(name=ws.name)
                for address, ws in scheduler.workers.items()
            }
            if is_map:
                await client.gather(client.map(str, range(count)))
            else:
                array = da.ones(count // 2, chunks=1) + 1
                await client.compute(array.sum(), optimize_graph=False)

    def look(self, **message: Any) -> None:
        """Do in place of upstream only what it does first: look at the task."""
        ts = self.tasks[message["key"]]
        assert ts.state == "processing" and ts.run_id == message["run_id"]

    def take(self, count: int) -> Iterator[Message]:
        """Yield so many messages, each with times of its own."""
        for i, message in enumerate(islice(cycle(self.messages), count)):
            later = i // len(self.messages) * 7.919
            startstops = [
                each | {"start": each["start"] + later, "stop": each["stop"] + later}
                for each in message["startstops"]
            ]
            yield message | {"startstops": startstops}


class Measured:
    """The records of runs, to a file."""

    def __init__(self, runs: Runs, path: Path) -> None:
        self._held = hold_loggers(tasks=True)
        self.stream = RecordStream("bench", lambda f: f())
        self.sink = EventLog(path, "bench")
        scheduler: Any = SimpleNamespace(
            tasks=runs.tasks,
            workers=runs.workers,
            stream_handlers=dict.fromkeys(("task-finished", "task-erred"), runs.look),
        )
        TaskRuns(scheduler, self.stream, lambda key: []).install()
        self.take: Callable[..., None] = scheduler.stream_handlers["task-finished"]

    def close(self) -> None:
        """Write all, and stop."""
        self.stream.close()
        self.sink.detach()
        self._held.close()
        if dropped := self.stream.queue.n_dropped:
            raise RuntimeError(f"{dropped} records were dropped: no fair measure")


def fresh(runs: Runs, count: int) -> list[Message]:
    """Return messages that no collection visits: a scheduler has none for long."""
    messages = [*runs.take(count)]
    gc.collect()
    gc.freeze()
    return messages


def loop_cost(runs: Runs, path: Path) -> float:
    """CPU microseconds of the event loop's thread per run, beyond upstream's."""
    messages = fresh(runs, BATCH)
    measured = Measured(runs, path)
    costs = []
    for take in (runs.look, measured.take):
        begun = time.thread_time()
        for message in messages:
            take(**message)
        costs.append((time.thread_time() - begun) / BATCH * 1e6)
    measured.close()
    return costs[1] - costs[0]


def whole_process(runs: Runs, path: Path, count: int) -> tuple[float, float]:
    """CPU microseconds of the process per run, and bytes on the disk."""
    messages = fresh(runs, count)
    measured = Measured(runs, path)
    begun = time.process_time()
    for i in range(0, count, BATCH):
        for message in messages[i : i + BATCH]:
            measured.take(**message)
        while len(measured.stream.queue) > BATCH:
            time.sleep(0.001)
    measured.close()
    cost = (time.process_time() - begun) / count * 1e6
    nbytes = path.stat().st_size / count
    path.unlink()
    return cost, nbytes


def measure(rounds: int, count: int) -> Iterator[str]:
    """Yield rows of a table: a transition's, as a measure of the machine, and runs'.

    They are measured in turns, as that speed drifts.
    """
    stream.RECORDED[:] = asyncio.run(stream.record_transitions())
    kinds = {"map": Runs(), "array": Runs()}
    for name, runs in kinds.items():
        asyncio.run(runs.record(name == "map", 5_000))
    loops: dict[str, list[float]] = defaultdict(list)
    files: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        for _ in range(rounds):
            for _ in range(5):
                loops["transition"].append(stream.emitting_thread(folder, 1)["on"])
                for name, runs in kinds.items():
                    loops[name].append(loop_cost(runs, path))
            path.unlink()
            for ending in ("", ".zst", ".gz"):
                cost, _, nbytes = stream.whole_process(folder, count, ending)
                files["transition", ending].append((cost, nbytes))
                for name, runs in kinds.items():
                    of_runs = whole_process(runs, Path(f"{path}{ending}"), count)
                    files[name, ending].append(of_runs)
    for (name, ending), figures in files.items():
        loop = statistics.median(loops[name])
        cost, nbytes = map(statistics.median, zip(*figures, strict=True))
        row = f"{name} | {loop:.2f} | {ending or 'plain'} | {cost:.2f} | {nbytes:.1f}"
        yield f"| {row} |"


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.taskruns", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100_000)
    args = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    print("| of a | loop us | file | process us | bytes |")
    print("|---|---:|---|---:|---:|")
    for row in measure(args.rounds, args.count):
        print(row)


if __name__ == "__main__":
    main()
