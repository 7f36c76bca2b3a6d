"""Reading a large event log back: records per second, and memory.

Run ``python -m benchmarks.reader``; see ``--help``. The log is made first, as a
scheduler would write it: 10 million records take 5 GB of disk and one or two minutes;
with ``--ending .zst`` 300 MB.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psutil
from distributed.scheduler import Transition

from benchmarks.harness.cluster import MIB
from leandask.eventlog.formatter import JSONFormatter
from leandask.eventlog.linebuffer import FRAME_BYTES
from leandask.eventlog.rotatingfile import RotatingFile
from leandask.reading.files.listing import find_log
from leandask.reading.files.logfile import LogFile
from leandask.reading.filter import Filter
from leandask.reading.lastrecords import LastRecords
from leandask.reading.reader import LogReader
from leandask.records.factory import RecordFactory
from leandask.settings.logpath import as_compressed

STEPS = (("released", "waiting"), ("waiting", "processing"), ("processing", "memory"))
STEPS += (("memory", "released"), ("released", "forgotten"))
#: Seconds since the epoch of the first record, and between two.
BEGIN, STEP = 1795521452.0, 0.0001


def generate(file: Path, records: int) -> None:
    """Write the log of a run: five transitions per task, an event per 1000 records."""
    factory = RecordFactory("Scheduler-5a0f4a2e-8f0e-4c6e-b8c3-8f7b6f0e9b0e")
    encode = JSONFormatter().encode_fields
    log = RotatingFile(file, None, 0, False, as_compressed(str(file), "auto")[1])
    lines = bytearray()
    with log.lock:
        for i in range(1, records + 1):
            now = BEGIN + i * STEP
            if i % 1000 == 0:
                msg = {"action": "add-worker", "worker": f"tcp://127.0.0.1:{i % 50000}"}
                fields = factory.event(i, (20, "all", now, msg, False))[2]
            else:
                start, finish = STEPS[i % 5]
                key = f"increment-{i // 5:032x}"
                others = {key: "forgotten"} if finish == "released" else {}
                stimulus = f"task-finished-{now}"
                transition = Transition(key, start, finish, others, stimulus, now)
                fields = factory.transition(i, transition)[2]
            lines += encode(fields) + b"\n"
            if len(lines) >= FRAME_BYTES or i == records:
                log.write(lines)
                lines.clear()
        log.close()


def baseline(file: Path) -> Callable[[], int]:
    """Return the query to compare with: orjson decodes every line."""

    def run() -> int:
        blocks = LogFile(find_log(file).files[0])
        blocks.open()
        lines = (line for block in blocks.blocks() for line in block.splitlines())
        return sum(1 for line in lines if orjson.loads(line) is None)

    return run


def last(file: Path, n: int) -> list[dict[str, Any]]:
    """Return the last records of a log."""
    found = LastRecords(Filter(), n)
    found.read([find_log(file)])
    return [*found.records()]


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="for the log (default: a new one)")
    parser.add_argument("--ending", default="", choices=["", ".zst", ".gz"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        file = Path(folder, f"log.jsonl{args.ending}")
        generate(file, args.records)
        print(f"{args.records} records, {file.stat().st_size / MIB:.0f} MiB")
        measure(file, args.records)


def measure(file: Path, records: int) -> None:
    """Read a log of so many records with several filters, and print the cost."""
    reader = LogReader(file)
    key = f"increment-{records // 10:032x}"

    def count(**filters: Any) -> Callable[[], int]:
        return lambda: sum(1 for _ in reader.records(**filters))

    queries: dict[str, Callable[[], int]] = {
        "orjson alone": baseline(file),
        "everything": count(),
        "until, before all": count(until=BEGIN),
        "level INFO": count(level="INFO"),
        "action add-worker": count(action="add-worker"),
        "last 100 records": lambda: len(last(file, 100)),
        "story of a key": lambda: sum(1 for _ in reader.story(key)),
    }
    process = psutil.Process()
    print(f"{'':20} {'found':>9} {'records/s':>10} {'ratio':>6} {'RSS, MiB':>9}")
    base = 0.0
    for name, query in queries.items():
        before, begun = process.memory_info().rss, time.process_time()
        found = query()
        rate = records / (time.process_time() - begun)
        base = base or rate
        grown = (process.memory_info().rss - before) / MIB
        print(f"{name:20} {found:9} {rate:10.0f} {rate / base:6.2f} {grown:+9.1f}")
        assert not reader.problems, reader.problems


if __name__ == "__main__":
    main()
