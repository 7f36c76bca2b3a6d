"""Faults with real parts: what is lost, and that the scheduler goes on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from functools import partial

import dask
import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc

from leandask import LeanScheduler
from leandask.records import EVENTS
from tests.processes import records_of, start_worker, wait_for
from tests.test_stream import Gate

lean = partial(
    LeanScheduler, host="127.0.0.1", dashboard=False, dashboard_address="127.0.0.1:0"
)


def read_until_torn(path):
    """The records of a killed writer, and whether the last line is torn."""
    *lines, last = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines], bool(last)


def test_a_kill_in_a_burst_loses_the_last_interval_only(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, "--log-transitions")
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        futures = client.map(inc, range(20_000))
        wait_for(lambda: log.exists() and log.stat().st_size > 500_000)
        killed = time.time()
        scheduler.stop(signal.SIGKILL)
        del futures
    records, torn = read_until_torn(log)
    assert not torn
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    last = max(r["timestamp"] for r in records)
    interval = 1.0 + 2.0  # of flushing, and for a busy machine
    assert last > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(killed - interval))


def test_sigterm_under_load_loses_nothing(start, tmp_path):
    log = tmp_path / "log.jsonl"
    # As the client goes, 20,000 tasks are released in one breath.
    block = {
        "DASK_LEANDASK__STREAM__OVERFLOW": "block",
        "DASK_LEANDASK__STREAM__BLOCK_TIMEOUT": "10s",
    }
    scheduler, file = start("--event-log", log, "--log-transitions", **block)
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        futures = client.map(inc, range(20_000))
        wait_for(lambda: log.exists() and log.stat().st_size > 500_000)
        assert scheduler.stop(signal.SIGTERM) == 0
        del futures
    records = records_of(log)
    assert records[-1]["event_name"] == "dask.scheduler.stop"
    assert records[-1]["dropped_total"] == 0
    transitions = [r for r in records if "task_key" in r]
    assert len(transitions) == records[-1]["transitions_total"]
    assert "-> memory" not in scheduler.stderr  # they are for the event log
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))


@contextlib.contextmanager
def small_disk(path, size="256k"):
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@gen_test()
async def test_a_full_disk_stops_nothing_and_leaves_whole_lines(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        log = disk / "log.jsonl"
        (disk / "ballast").write_bytes(b"x" * 200_000)
        config = {"leandask.event-log.path": str(log)}
        with dask.config.set(config):
            async with lean() as s, Client(s.address, asynchronous=True) as client:
                async with Worker(s.address):
                    for i in range(200):
                        s.log_event("mine", {"i": i, "text": "x" * 1000})
                    sink = s.extensions["leandask"].event_log
                    wait_for(lambda: sink.errors)
                    assert await client.submit(inc, 1) == 2
                    (disk / "ballast").unlink()
        records = records_of(log)
        assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
        # 200 kB of events don't fit on the rest of 256 kB: what is lost is counted.
        assert sink.lines_written == len(records)
        assert sink.lines_written + sink.lines_lost == s.stream.stats()["written"]


@gen_test()
async def test_a_handler_that_hangs_does_not_hold_the_scheduler_up():
    gate = Gate()
    EVENTS.addHandler(gate)
    try:
        async with lean() as s, Worker(s.address):
            async with Client(s.address, asynchronous=True) as client:
                s.log_event("mine", 1)
                wait_for(gate.entered.is_set)
                assert await client.gather(client.map(inc, range(50))) == [
                    *range(1, 51)
                ]
                assert len(s.stream.queue) > 0
                gate.opened.set()
        assert s.stream.queue.n_dropped == 0
    finally:
        gate.opened.set()
        EVENTS.removeHandler(gate)


def publish(client, text):
    client.log_event("mine", {"text": text})


@pytest.mark.parametrize("mode", ["create", "copytruncate"])
def test_logrotate_moves_the_file(start, tmp_path, mode):
    if not (logrotate := shutil.which("logrotate", path="/usr/sbin:" + os.defpath)):
        pytest.skip("logrotate is not installed")
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log)
    settings = tmp_path / "logrotate.conf"
    reopen = f"kill -HUP {scheduler.popen.pid}"
    settings.write_text(
        f"{log} {{\n rotate 5\n {mode}\n su root root\n nocompress\n"
        + (f" postrotate\n {reopen}\n endscript\n" if mode == "create" else "")
        + "}\n"
    )
    rotate = [logrotate, "--force", "--state", str(tmp_path / "state"), str(settings)]
    with Client(scheduler_file=str(file)) as client:
        for i in range(3):
            publish(client, f"round {i}")
            wait_for(lambda i=i: log.exists() and f"round {i}" in log.read_text())
            subprocess.run(rotate, check=True)
        publish(client, "end")
    assert scheduler.stop() == 0
    rotated = [tmp_path / f"log.jsonl.{i}" for i in (3, 2, 1)]
    records = [r for path in (*rotated, log) for r in records_of(path)]
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert [len(records_of(path)) > 0 for path in rotated] == [True] * 3


def test_hangup_opens_the_file_anew_and_ends_nothing(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log)
    with Client(scheduler_file=str(file)) as client:
        wait_for(log.exists)
        scheduler.popen.send_signal(signal.SIGHUP)
        publish(client, "after")
        wait_for(lambda: "after" in log.read_text())
    assert scheduler.stop() == 0


@gen_test()
async def test_a_flood_of_large_events_is_dropped_and_counted(tmp_path):
    config = {
        "leandask.event-log.path": str(tmp_path / "log.jsonl"),
        "leandask.stream.queue-bytes": "1 MiB",
    }
    with dask.config.set(config):
        async with lean(retention={"events": 10}) as s:
            for i in range(5000):
                s.log_event("mine", {"i": i, "text": "x" * 100_000})
                assert s.stream.queue.nbytes <= 2**20
            assert len(s.get_events("mine")) == 10
    stats = s.stream.stats()
    records = records_of(tmp_path / "log.jsonl")
    assert stats["emitted"] == len(records) + s.stream.queue.n_dropped
    missing = set(range(1, stats["emitted"] + 1)) - {r["seq"] for r in records}
    assert len(missing) == s.stream.queue.n_dropped
    assert records[-1]["dropped_total"] == len(missing)
