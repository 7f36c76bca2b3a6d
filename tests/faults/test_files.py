"""Faults of disks, folders and files: what is lost, and that the scheduler runs on."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from operator import itemgetter

import dask
import pytest
from distributed import Client, Scheduler, Worker
from distributed.utils_test import gen_test, inc

from leandask import LeanCluster, LeanScheduler, LogReader, get_report, install
from tests.helpers.compressed import ENDINGS, expanded
from tests.helpers.logs import assert_no_gap
from tests.helpers.processes import (
    COMMAND,
    NO_SAMPLES,
    free_port,
    records_of,
    start_worker,
    starting,
    wait_for,
)
from tests.helpers.schedulers import LOCAL, lean, until

SOON = {"DASK_LEANDASK__EVENT_LOG__FLUSH_INTERVAL": "100 ms"} | NO_SAMPLES


def publish(client, text, times=1):
    client.log_event(["mine"] * times, {"text": text})


@contextlib.contextmanager
def small_disk(path, size="256k", inodes=0):
    path.mkdir()
    options = f"size={size},nr_inodes={inodes}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
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
    scheduler, file = start("--event-log", log, **NO_SAMPLES)
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
@pytest.mark.parametrize("ending", ["", *ENDINGS])
def test_no_record_is_lost_when_logrotate_rotates_the_file(
    start, tmp_path, mode, ending
):
    if not (logrotate := shutil.which("logrotate", path="/usr/sbin:" + os.defpath)):
        pytest.skip("logrotate is not installed")
    log = tmp_path / f"log.jsonl{ending}"
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

        def arrives(text):
            # Until the scheduler has handled the signal, the rotated file gets it.
            publish(client, text)
            return is_written(text)

        def is_written(text):
            return log.exists() and text.encode() in expanded(log)

        for i in range(3):
            wait_for(lambda i=i: arrives(f"round {i}"))
            # What is written while logrotate copies and truncates would be lost.
            publish(client, f"last of {i}")
            wait_for(lambda i=i: is_written(f"last of {i}"))
            subprocess.run(rotate, check=True)
        publish(client, "end")
    assert scheduler.stop() == 0
    rotated = [tmp_path / f"{log.name}.{i}" for i in (3, 2, 1)]
    records = [r for path in (*rotated, log) for r in records_of(path)]
    assert_no_gap(records)
    assert [*LogReader(log).records()] == records
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


@gen_test()
async def test_a_disk_that_takes_no_more_files_stops_no_rotation(tmp_path):
    with small_disk(tmp_path / "disk", inodes=4) as disk:
        log = disk / "log.jsonl"
        ballast = [disk / "1", disk / "2"]
        config = {
            "leandask.event-log.path": str(log),
            "leandask.event-log.max-bytes": 10_000,
        }
        with dask.config.set(config):
            async with lean() as s:
                for path in ballast:
                    path.touch()
                sink = s.extensions["leandask"].event_log
                for i in range(20):
                    s.log_event("mine", {"i": i, "text": "x" * 1000})
                    s.stream.catch_up(10)
                    sink.flush()
                assert sink.failing  # renamed, and no file can be made
                # One for the lines that wait, and one for the record of the stop.
                for path in ballast:
                    path.unlink()
        paths = [log.with_name(f"log.jsonl.{i}") for i in range(4, 0, -1)]
        files = [path for path in [*paths, log] if path.exists()]
        records = [record for path in files for record in records_of(path)]
        assert_no_gap(records)
        assert sink.lines_lost == 0
        assert len(records) == s.stream.stats()["written"]


@gen_test()
async def test_a_full_disk_at_the_start_stops_no_scheduler(tmp_path):
    with small_disk(tmp_path / "disk", inodes=2) as disk:
        (disk / "ballast").touch()
        with dask.config.set({"leandask.event-log.path": str(disk / "log.jsonl")}):
            async with lean() as s:
                sink = s.extensions["leandask"].event_log
                await until(lambda: sink.failing)
                (disk / "ballast").unlink()
        assert sink.lines_lost == 0
        assert_no_gap(records_of(disk / "log.jsonl"))


@pytest.mark.parametrize("path", ["foo://bucket/log", "."])
@pytest.mark.parametrize("make", [LeanScheduler, LeanCluster])
def test_a_path_that_cannot_be_a_log_starts_nothing(tmp_path, monkeypatch, path, make):
    monkeypatch.chdir(tmp_path)
    port = free_port()
    with dask.config.set({"leandask.event-log.path": path}):
        with pytest.raises((ValueError, RuntimeError), match=re.escape(path)) as info:
            make(dashboard_address=f"127.0.0.1:{port}")
    assert "leandask.event-log.path must be" in str(info.value)
    assert list(tmp_path.iterdir()) == []
    socket.create_server(("127.0.0.1", port)).close()  # nobody listens there


@gen_test()
async def test_a_path_that_cannot_be_a_log_leaves_a_scheduler_as_it_was(tmp_path):
    async with Scheduler(**LOCAL) as s:
        with dask.config.set({"leandask.event-log.path": str(tmp_path)}):
            with pytest.raises(ValueError, match=re.escape("leandask.event-log.path")):
                install(s)
        assert not hasattr(s, "retention") and "leandask" not in s.extensions


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("s3://b/{start}", "--event-log must be a URL without placeholders: each"),
        ("foo://b", "leandask.event-log.path must be a URL of a protocol that fsspec"),
        (".", "leandask.event-log.path must be a path that this process can append to"),
    ],
)
def test_the_command_refuses_a_path_that_cannot_be_a_log(tmp_path, path, text):
    given = ["--event-log", path, "--port=0", "--dashboard-address=127.0.0.1:0"]
    done = subprocess.run([COMMAND, *given], cwd=tmp_path, stderr=-1, text=True)
    assert done.returncode == 2
    assert f"Error: {text}" in done.stderr
    assert f"got '{path}'" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_schedulers_on_one_path_lose_nothing_and_are_told(tmp_path):
    log = tmp_path / "log.jsonl"
    settings = {"MAX_BYTES": "50 kB", "COMPRESS": "true", "BACKUPS": "1000"}
    env = {f"DASK_LEANDASK__EVENT_LOG__{name}": settings[name] for name in settings}
    schedulers = []
    with contextlib.ExitStack() as stack:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            start = stack.enter_context(starting(tmp_path / name))
            schedulers.append(start("--event-log", log, **SOON, **env))
        text = f"Another process writes to the event log {log}, too"
        assert schedulers[1][0].stderr.count(text) == 1  # at its start
        with contextlib.ExitStack() as clients:
            opened = [Client(scheduler_file=str(file)) for _, file in schedulers]
            for client in map(clients.enter_context, opened):
                for i in range(20):
                    publish(client, f"{i}" * 200, times=20)
        for scheduler, _ in schedulers:
            assert scheduler.stop() == 0
            assert scheduler.stderr.count(text) == 1
    by_scheduler = {}
    reader = LogReader(log)
    for record in reader.records():
        by_scheduler.setdefault(record["scheduler_id"], []).append(record)
    assert len(by_scheduler) == 2
    for records in by_scheduler.values():
        records.sort(key=itemgetter("seq"))
        assert_no_gap(records)
        assert records[-1]["event_name"] == "dask.scheduler.stop"
    # On a busy machine much is written at once, and the file is rotated less often.
    assert len(list(tmp_path.glob("log.jsonl.*"))) > 1
