"""Cost of the stream of records, in one process and with no cluster.

Run ``python -m benchmarks.stream``; see ``--help``. The transitions are those of a real
cluster. Each figure is the median of several rounds, in turns where two are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import statistics
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Callable
from itertools import cycle, islice, product
from pathlib import Path
from typing import NamedTuple

import dask.array as da
import dask.config
from distributed import Client, Scheduler, Worker
from distributed.scheduler import Transition

from benchmarks.harness.cluster import MIB
from leandask.eventlog.eventlog import EventLog
from leandask.histories.tasks.transitionlog import TransitionLog
from leandask.records.loggers import EVENTS, TRANSITIONS
from leandask.records.stream import RecordStream

BATCH = 5_000  # transitions between two waits for the drain: the queue holds more
RECORDED: list[Transition] = []


async def record_transitions() -> list[Transition]:
    """Run a map and a graph of arrays on a real cluster, and return its transitions."""
    with dask.config.set({"distributed.admin.low-level-log-length": None}):
        async with (
            Scheduler(host="127.0.0.1", dashboard_address="127.0.0.1:0") as scheduler,
            Worker(scheduler.address, dashboard=False),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            futures = client.map(str, range(1500))
            await client.gather(futures)
            del futures
            await client.compute((da.ones((2000, 2000), chunks=100) + 1).sum())
            return list(scheduler.transition_log)


def transitions(count: int) -> list[Transition]:
    """Return new transitions like those of a real cluster."""
    now = time.time()
    return [
        t._replace(recommendations=dict(t.recommendations), timestamp=now + i / 1e5)
        for i, t in enumerate(islice(cycle(RECORDED), count))
    ]


class Measured:
    """A transition log with a stream to a file, or with logging off."""

    def __init__(self, folder: str, on: bool, ending: str = "") -> None:
        TRANSITIONS.setLevel(logging.DEBUG if on else logging.WARNING)
        self.stream = RecordStream("bench", lambda f: f())
        with dask.config.set({"leandask.event-log.max-bytes": None}):  # one file
            self.sink = EventLog(str(Path(folder, f"events.jsonl{ending}")), "bench")
        self.log = TransitionLog((), 100, None, self.stream.transition)

    def close(self, fair: bool = True) -> None:
        """Stop the stream and remove what it wrote."""
        self.stream.close()
        self.sink.detach()
        self.sink.file.path.unlink(missing_ok=True)
        if fair and (dropped := self.stream.queue.n_dropped):
            raise RuntimeError(f"{dropped} records were dropped: no fair measure")


def emit_cost(append: Callable[[Transition], None], items: list[Transition]) -> float:
    """CPU microseconds of this thread per transition."""
    begun = time.thread_time()
    for item in items:
        append(item)
    return (time.thread_time() - begun) / len(items) * 1e6


def emitting_thread(folder: str, rounds: int) -> dict[str, float]:
    """CPU of the emitting thread per transition: a deque, the stream off, and on."""
    costs: dict[str, list[float]] = {"deque": [], "off": [], "on": []}
    for _ in range(rounds):
        costs["deque"].append(emit_cost(deque(maxlen=1000).append, transitions(BATCH)))
        for name in ("off", "on"):
            measured = Measured(folder, on=name == "on")
            costs[name].append(emit_cost(measured.log.append, transitions(BATCH)))
            measured.close()
    return {name: statistics.median(values) for name, values in costs.items()}


class WholeProcess(NamedTuple):
    """What a transition to a file costs the process, and the file."""

    #: CPU microseconds per transition, and records a second.
    cost: float
    rate: float
    #: Bytes on the disk per transition.
    nbytes: float


def whole_processes(
    folder: str, rounds: int, count: int, endings: tuple[str, ...]
) -> list[WholeProcess]:
    """Measure files with several endings, in turns."""
    measured: dict[str, list[WholeProcess]] = {ending: [] for ending in endings}
    for _, ending in product(range(rounds), endings):
        measured[ending].append(whole_process(folder, count, ending))
    return [
        WholeProcess(*map(statistics.median, zip(*values, strict=True)))
        for values in measured.values()
    ]


def whole_process(folder: str, count: int, ending: str) -> WholeProcess:
    """Write so many transitions to a file."""
    items = transitions(count)
    gc.collect()
    gc.freeze()  # in a scheduler these items would not exist yet
    measured = Measured(folder, on=True, ending=ending)
    queue = measured.stream.queue
    begun, cpu = time.perf_counter(), time.process_time()
    for i in range(0, count, BATCH):
        for item in items[i : i + BATCH]:
            measured.log.append(item)
        while len(queue) > BATCH:
            time.sleep(0.001)
    measured.stream.close()
    cost = (time.process_time() - cpu) / count * 1e6
    rate = count / (time.perf_counter() - begun)
    measured.sink.flush()
    nbytes = measured.sink.file.path.stat().st_size
    measured.close()
    return WholeProcess(cost, rate, nbytes / count)


async def lateness(seconds: float, emit: Callable[[], None]) -> list[float]:
    """Lateness in milliseconds of a loop that wakes, and emits, each millisecond."""
    late = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - begun - 0.001) * 1e3)
        emit()
    return late


class Sleeper(logging.Handler):
    """A handler that is slow."""

    def emit(self, record: logging.LogRecord) -> None:
        """Sleep for a second."""
        time.sleep(1.0)


def tick_p99(folder: str, rounds: int, seconds: float) -> dict[str, float]:
    """99th percentile of the ticks' lateness, in milliseconds.

    With nothing logged, with 20,000 records/s to a file, and with as many to a handler
    that sleeps for a second per record.
    """
    results: dict[str, list[float]] = {"calm": [], "busy": [], "asleep": []}
    sleeper = Sleeper()
    for _ in range(rounds):
        for state_name in results:
            measured = Measured(folder, on=state_name != "calm")
            if state_name == "asleep":
                TRANSITIONS.addHandler(sleeper)
                measured.stream.close_timeout = 0.0
            items = transitions(1000)
            state = {"at": time.perf_counter(), "next": 0}

            def emit(state=state, items=items, append=measured.log.append) -> None:  # type: ignore[no-untyped-def]
                now = time.perf_counter()
                # After a pause of the machine, no more than the queue can hold.
                due = min(int((now - state["at"]) * 20_000), 2_000)
                state["at"] = now
                for _ in range(due):
                    append(items[state["next"] % 1000])
                    state["next"] += 1

            late = asyncio.run(lateness(seconds, emit))
            results[state_name].append(statistics.quantiles(late, n=100)[98])
            TRANSITIONS.removeHandler(sleeper)
            measured.close(fair=state_name != "asleep")
    return {name: statistics.median(values) for name, values in results.items()}


def full_queue() -> tuple[float, float]:
    """Return the traced MiB of a full queue that is never drained, and its bound."""
    with dask.config.set({"leandask.stream.close-timeout": 0}):
        TRANSITIONS.setLevel(logging.DEBUG)
        stream = RecordStream("bench", lambda f: f())
        stream._drain.start = lambda: None  # type: ignore[method-assign]
        tracemalloc.start()
        for i in range(30_000):
            # New objects each, as a scheduler's keys and dicts would be.
            [item] = transitions(1)
            stream.transition(item)
            stream.event("topic", (time.time(), {"action": "x", "text": "y" * i}))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        bound = stream.queue.max_bytes / MIB
        stream.close()
    return held / MIB, bound


def run(rounds: int, count: int) -> list[tuple[str, float, str]]:
    """Measure everything in so many rounds, the slow measures in at most 5.

    ``count`` transitions of each round go to a file. Returns what was measured with its
    unit, the figure, and its bar, which may be empty.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    RECORDED[:] = asyncio.run(record_transitions())
    gc.freeze()
    EVENTS.propagate = TRANSITIONS.propagate = False
    logging.getLogger("leandask").setLevel(logging.CRITICAL)  # losses are expected
    with tempfile.TemporaryDirectory() as folder:
        emit = emitting_thread(folder, rounds)
        plain, zstd, gzip = whole_processes(
            folder, min(rounds, 5), count, ("", ".zst", ".gz")
        )
        ticks = tick_p99(folder, min(rounds, 5), 3.0)
        held, bound = full_queue()
    tick_bar = f"<= {ticks['calm'] + 0.5:.2f}"
    return [
        ("emitting thread, deque alone, us", emit["deque"], ""),
        ("emitting thread, stream off, us", emit["off"], ""),
        ("emitting thread, stream on, us", emit["on"], "<= 1"),
        ("whole process, to a file, us", plain.cost, "<= 7"),
        ("the same, zstd, us", zstd.cost, f"<= {plain.cost * 1.25:.2f}"),
        ("the same, gzip, us", gzip.cost, ""),
        ("sustained, records/s", plain.rate, ">= 100000"),
        ("bytes of a record", plain.nbytes, ""),
        ("bytes of a record, zstd", zstd.nbytes, ""),
        ("bytes of a record, gzip", gzip.nbytes, ""),
        ("bytes of a task's 5, zstd", 5 * zstd.nbytes, "<= 120"),
        ("ticks p99 without records, ms", ticks["calm"], ""),
        ("ticks p99 at 20000 records/s, ms", ticks["busy"], tick_bar),
        ("the same, handler asleep, ms", ticks["asleep"], tick_bar),
        ("fullest queue, MiB", held, f"<= {bound:.0f}"),
    ]


def main() -> None:
    """Measure, and print a table with the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=200_000)
    args = parser.parse_args()
    for name, value, bar in run(args.rounds, args.count):
        print(f"{name:36} {value:12.2f}  {bar}")


if __name__ == "__main__":
    main()
