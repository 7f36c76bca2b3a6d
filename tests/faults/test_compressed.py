"""A compressed event log whose writer is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from distributed import Client
from distributed.utils_test import inc

from leandask import LogReader, RotatingFileSink
from tests.helpers.compressed import ENDINGS, expanded
from tests.helpers.logs import assert_no_gap
from tests.helpers.processes import start_worker, wait_for

#: Records numbered from 1 on, each with the time at which it was handed over, until the
#: process is killed. One in 500 is a warning.
WRITING = """
import sys, time
from leandask.eventlog.eventlog import EventLog
from leandask.records.factory import RecordFactory
name, path, interval = sys.argv[1], sys.argv[2], float(sys.argv[3])
log = EventLog(path, name)
log.buffer.interval = interval
factory = RecordFactory(name)
print("open", flush=True)
seq = 0
while True:
    for _ in range(20):
        seq += 1
        level = 30 if seq % 500 == 0 else 20
        msg = {"action": "x", "i": seq}
        fields = factory.event(seq, (level, "all", time.time(), msg, False))[2]
        log.write_fields(fields, level)
    log.flush_if_due()
    print(seq, time.time(), flush=True)
    time.sleep(0.0005)
"""
INTERVAL = 0.01


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_kill_loses_the_last_interval_and_no_frame(tmp_path, ending):
    path = tmp_path / f"log.jsonl{ending}"
    n_read = 0
    for i in range(20):
        arguments = f"Scheduler-{i}", path, str(INTERVAL)
        with subprocess.Popen(
            [sys.executable, "-c", WRITING, *arguments], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout.readline() == b"open\n"
            told = [writer.stdout.readline() for _ in range(100 + 13 * i)]
            writer.kill()
            told += writer.stdout.read().splitlines(keepends=True)
        told = [line.split() for line in told if line.endswith(b"\n")]
        # The last look for lines that are due ended before the last line was told, and
        # began after the one before it.
        last_look = float(told[-2][1])
        due = [int(seq) for seq, at in told if float(at) + INTERVAL <= last_look]
        reader = LogReader(path)
        records = [r for r in reader.records() if r["scheduler_id"] == f"Scheduler-{i}"]
        assert_no_gap(records)
        assert not reader.problems.counts["unreadable"]
        assert reader.problems.counts["torn"] <= 1  # at the end, if in a write
        assert len(records) >= max(due, default=0)
        n_read += len(records)
    # The next writer cuts a torn frame off: the file is whole for every program.
    sink = RotatingFileSink(path)
    sink.open()
    sink.close()
    assert expanded(path).count(b"\n") == n_read


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_scheduler_that_is_killed_in_a_burst_leaves_whole_frames(
    start, tmp_path, ending
):
    path = tmp_path / f"log.jsonl{ending}"
    scheduler, file = start("--event-log", path, "--log-transitions", wait=False)
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        futures = client.map(inc, range(5_000))
        wait_for(lambda: path.exists() and path.stat().st_size > 100_000)
        killed = time.time()
        scheduler.stop(signal.SIGKILL)
        del futures
    reader = LogReader(path)
    records = [*reader.records()]
    assert_no_gap(records)
    assert not reader.problems.counts["unreadable"]
    interval = 1.0 + 9.0  # flush interval, and time for a busy machine
    last = max(r["timestamp"] for r in records)
    assert last > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(killed - interval))
