"""Faults of disks, folders and files: what is lost, and that the scheduler runs on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess

import dask
import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc

from leandask import get_report
from tests.helpers.logs import assert_no_gap
from tests.helpers.processes import records_of, start_worker, wait_for
from tests.helpers.schedulers import lean, until

SOON = {"DASK_LEANDASK__EVENT_LOG__FLUSH_INTERVAL": "100 ms"}


def publish(client, text, times=1):
    client.log_event(["mine"] * times, {"text": text})


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
                    await until(lambda: sink.errors)
                    assert await client.submit(inc, 1) == 2
                    (disk / "ballast").unlink()
        records = records_of(log)
        assert_no_gap(records)
        # 200 kB of events don't fit into the rest of 256 kB: losses are counted.
        assert sink.lines_written == len(records)
        assert sink.lines_written + sink.lines_lost == s.stream.stats()["written"]


def test_a_full_disk_stops_no_scheduler_and_what_is_lost_is_counted(start, tmp_path):
    with small_disk(tmp_path / "disk", size="8M") as disk:
        log = disk / "log.jsonl"
        (disk / "ballast").write_bytes(b"x" * 7_800_000)
        scheduler, file = start("--event-log", log)
        with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:

            def is_failing():
                publish(client, "x" * 8000, times=100)
                event_log = get_report(client)["event_log"]
                return event_log["failing"] and event_log["lines_lost"] > 100

            wait_for(is_failing)
            assert client.submit(inc, 1).result() == 2
            (disk / "ballast").unlink()
            wait_for(lambda: not get_report(client)["event_log"]["failing"])
            publish(client, "after")
            lost = get_report(client)["event_log"]["lines_lost"]
        assert scheduler.stop() == 0
        assert "No space left on device" in scheduler.stderr
        records = records_of(log)
    assert '{"text":"after"}' in [r.get("payload") for r in records]
    end = records[-1]
    assert len(records) == end["records_total"] + 1 - end["dropped_total"] - lost


def test_when_the_folder_is_removed_only_the_records_in_it_are_lost(start, tmp_path):
    log = tmp_path / "logs" / "log.jsonl"
    scheduler, file = start("--event-log", log)
    with Client(scheduler_file=str(file)) as client:
        client.log_event("worker-fail-hard", "before")  # a warning: written at once
        wait_for(lambda: log.exists() and "before" in log.read_text())
        removed = records_of(log)
        shutil.rmtree(log.parent)
        client.log_event("worker-fail-hard", "after")
        wait_for(log.exists)
        log.parent.rename(tmp_path / "moved")
        publish(client, "moved")
        wait_for(log.exists)
    assert scheduler.stop() == 0
    records = records_of(tmp_path / "moved" / log.name) + records_of(log)
    assert "after" in records[0]["payload"]
    assert_no_gap(removed + records)


@pytest.mark.parametrize("mode", ["create", "copytruncate"])
def test_no_record_is_lost_when_logrotate_rotates_the_file(start, tmp_path, mode):
    if not (logrotate := shutil.which("logrotate", path="/usr/sbin:" + os.defpath)):
        pytest.skip("logrotate is not installed")
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, **SOON)
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
    assert_no_gap(records)
    assert [len(records_of(path)) > 0 for path in rotated] == [True] * 3


def test_sighup_reopens_the_file_and_does_not_end_the_scheduler(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, **SOON)
    with Client(scheduler_file=str(file)) as client:
        wait_for(log.exists)
        scheduler.popen.send_signal(signal.SIGHUP)
        publish(client, "after")
        wait_for(lambda: "after" in log.read_text())
    assert scheduler.stop() == 0
