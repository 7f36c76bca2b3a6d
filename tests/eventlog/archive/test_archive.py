"""An archive: segments and run.json, and what becomes of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import dask
import duckdb
import pandas
import polars
import pytest
from distributed.utils_test import gen_test

from leandask import LogReader
from leandask.eventlog.archive.archive import Archive
from leandask.eventlog.archive.bucket import check_installed, shown
from leandask.eventlog.archive.lifefolder import LifeFolder, Segment, left_behind
from leandask.eventlog.archive.runsummary import RunSummary
from leandask.eventlog.archive.segments import segment_name
from leandask.eventlog.archive.spool import spool_of
from leandask.eventlog.archive.waiting import Waiting
from leandask.eventlog.eventlog import EventLog
from leandask.eventlog.frames.codec import codec_of
from leandask.reading.bucket.bucketfollow import BucketFollow
from leandask.reading.bucket.bucketlogs import bucket_logs
from leandask.reading.filter import Filter
from leandask.settings.logpath import UnusablePath
from tests.helpers.compressed import expanded
from tests.helpers.logs import Log, assert_no_gap, lines
from tests.helpers.processes import wait_for
from tests.helpers.schedulers import lean, lean_cluster, until


@contextlib.contextmanager
def archiving(tmp_path):
    """Yield a folder as a bucket, which is the archive of schedulers meanwhile."""
    bucket = tmp_path / "bucket"
    settings = {
        "event-log.archive": f"file://{bucket}",
        "event-log.archive-folder": str(tmp_path / "spool"),
        "event-log.archive-interval": "100 ms",
        "event-log.flush-interval": "10 ms",
    }
    with dask.config.set({f"leandask.{key}": v for key, v in settings.items()}):
        yield bucket


@pytest.fixture
def bucket(tmp_path):
    with archiving(tmp_path) as bucket:
        yield bucket


def runs_in(bucket):
    return [json.loads(run.read_text()) for run in sorted(bucket.glob("*/run.json"))]


def segments_in(folder):
    return sorted(folder.glob("*/*.jsonl.*"))


def spool_in(tmp_path):
    return [*(tmp_path / "spool").glob("*/*/*")]


@gen_test()
async def test_every_record_is_in_the_archive_and_nothing_is_left_here(tmp_path):
    run = {"leandask.run.name": "night", "leandask.run.labels": "team=a,env=b"}
    with archiving(tmp_path) as bucket, dask.config.set(run):
        async with lean_cluster() as (s, c):
            await c.gather(c.map(lambda i: i + 1, range(20)))
            await until(lambda: len(segments_in(bucket)) > 1 and runs_in(bucket))
            assert runs_in(bucket)[0]["ended"] is None
            address = s.address
            error = await c.submit(lambda: 1 / 0).exception()
    assert isinstance(error, ZeroDivisionError)
    records = list(LogReader(f"file://{bucket}").records())
    assert_no_gap(records)
    assert records[-1]["event_name"] == "dask.scheduler.stop"
    (run,) = runs_in(bucket)
    assert run["scheduler_id"] == s.id == records[0]["scheduler_id"]
    assert run["name"] == "night" and run["labels"] == {"team": "a", "env": "b"}
    assert run["address"] == address and run["dashboard"].startswith("http://127.0.0.1")
    assert (run["tasks"], run["erred"]) == (20, 1)
    assert run["exceptions"] == ["ZeroDivisionError('division by zero')"]
    assert run["workers_max"] == 1 and len(run["prefixes"]) == 1
    assert run["started"] == records[0]["timestamp"]
    assert run["ended"] == records[-1]["timestamp"] <= run["updated"]
    assert spool_in(tmp_path) == []
    names = [path.name for path in segments_in(bucket)]
    assert [name.split("-")[1][:6] for name in names] == [
        f"{i:06}" for i in range(1, len(names) + 1)
    ]


@gen_test()
async def test_a_url_as_path_is_an_archive_with_a_local_log_for_get_history(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/bucket"
    with dask.config.set({"leandask.event-log.path": url}):
        async with lean() as s:
            log = s.extensions["leandask"].event_log
            assert log.archive.report()["url"] == url
            s.log_event("mine", 1)
            answer = await s.extensions["leandask"].history(Comm(), 10, {})
            assert b'"topic":"mine"' in answer["lines"]
    assert len(segments_in(tmp_path / "bucket")) == 1
    (spool,) = (tmp_path / "cache").iterdir()
    assert [*spool.iterdir()] == []


class Comm:
    peer_address = "tcp://127.0.0.1:1"

    def closed(self):
        return False


@gen_test()
async def test_a_log_beside_an_archive_stays_as_it_is(tmp_path):
    path = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    with archiving(tmp_path) as bucket, dask.config.set(path):
        async with lean() as s:
            s.log_event("mine", 1)
    archived = b"".join(map(expanded, segments_in(bucket)))
    assert archived == (tmp_path / "log.jsonl").read_bytes()


@gen_test()
async def test_a_full_segment_is_followed_by_the_next(tmp_path):
    bounds = {"archive-bytes": "64 KiB", "archive-interval": "1 h"}
    bounds = {f"leandask.event-log.{key}": value for key, value in bounds.items()}
    with archiving(tmp_path) as bucket, dask.config.set(bounds):
        async with lean() as s:
            for i in range(4000):  # each is other, so that little is saved
                s.log_event("mine", str(hash((i, "x"))) * 20)
            await until(lambda: len(segments_in(bucket)) > 0)
    found = segments_in(bucket)
    assert len(found) > 1
    assert all(path.stat().st_size <= 64 * 1024 for path in found)
    assert_no_gap(list(LogReader(f"file://{bucket}").records()))


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_other_programs_read_segments(bucket, compression, monkeypatch):
    monkeypatch.setattr(
        "leandask.eventlog.archive.archive._compression", lambda: compression
    )
    write_archive(500)
    segments = segments_in(bucket)  # two, where the machine is slow
    counts = [
        lambda segment: len(expanded(segment).splitlines()),
        lambda segment: polars.read_ndjson(segment, infer_schema_length=None).height,
        lambda segment: len(pandas.read_json(segment, lines=True)),
        lambda segment: duckdb.sql(f"select * from read_json('{segment}')").shape[0],
    ]
    assert [sum(map(count, segments)) for count in counts] == [500] * 4


def write_archive(n, scheduler_id="Scheduler-1", first=1):
    log = EventLog.of(scheduler_id)
    for line in lines(n, scheduler_id, first):
        record = json.loads(line)
        log.archive.take(record, line[:-1], 20)
    log.detach(30)
    return log


def test_only_the_segments_of_the_wanted_time_are_read(bucket):
    for i in range(2):
        with dask.config.set({"leandask.event-log.archive-interval": "60 s"}):
            write_archive(100)  # to one segment
        (folder,) = bucket.iterdir()
        (plain,) = folder.glob("*.jsonl.*")
        plain.rename(folder / f"old-{i}")
    for i in range(2):
        name = f"20200101T1{i}0000.000000Z-{i + 1:06}.jsonl.zst"
        (folder / f"old-{i}").rename(folder / name)
    read = []
    reader = LogReader(f"file://{bucket}", read.append)
    assert list(reader.records(until="2020-01-01T10:30Z")) == []
    assert sum(read) == reader.nbytes // 2
    assert len(list(reader.records(since="2020-01-01T11:30Z"))) == 100
    assert sum(read) == reader.nbytes
    assert list(reader.records(until="2020-01-01T09:30Z")) == []
    assert list(reader.records(since="2100-01-01")) == []
    assert sum(read) == reader.nbytes
    assert not reader.problems


def test_what_a_killed_scheduler_left_is_uploaded_by_the_next_one(tmp_path, bucket):
    spool = spool_of(f"file://{bucket}", None)
    left = LifeFolder(spool / "Scheduler-0")
    segment = left.path / "20261129T100000.000000Z-000001.jsonl.zst"
    whole = b"".join(lines(5, "Scheduler-0"))
    frame = codec_of("zstd").compress(bytearray(whole))
    segment.write_bytes(frame + frame[: len(frame) // 2])  # killed in a write
    summary = RunSummary("Scheduler-0", None, {}, True)
    left.write_run(summary.as_dict())
    write_archive(1)
    assert [run["scheduler_id"] for run in runs_in(bucket)] == ["Scheduler-1"]
    left.close()  # its process ends
    write_archive(1, "Scheduler-2")
    ids = [run["scheduler_id"] for run in runs_in(bucket)]
    assert ids == ["Scheduler-0", "Scheduler-1", "Scheduler-2"]
    assert (bucket / "Scheduler-0" / segment.name).read_bytes() == frame
    assert spool_in(tmp_path) == []


def test_what_can_not_be_uploaded_stays_for_the_next_scheduler(
    tmp_path, bucket, caplog
):
    bucket.write_text("no folder")
    write_archive(10)
    assert "1 segments are not in the archive" in caplog.text
    assert len([p for p in spool_in(tmp_path) if p.name.startswith("2")]) == 1
    bucket.unlink()
    write_archive(1, "Scheduler-2")
    assert [run["scheduler_id"] for run in runs_in(bucket)] == [
        "Scheduler-1",
        "Scheduler-2",
    ]
    assert spool_in(tmp_path) == []


def test_beyond_the_bound_the_oldest_segments_are_lost_and_counted(tmp_path):
    waiting = Waiting(250)
    paths = [tmp_path / str(i) for i in range(4)]
    for path in paths[:3]:
        path.touch()
        waiting.add(Segment(path, 100))
    assert (waiting.lost, waiting.lost_bytes, len(waiting)) == (1, 100, 2)
    assert not paths[0].exists()
    assert waiting.take().path == paths[1]  # it is being uploaded
    waiting.add(Segment(paths[3], 100))
    assert paths[1].exists() and not paths[2].exists()
    waiting.confirm()
    assert not paths[1].exists()
    assert (waiting.uploaded, waiting.lost, waiting.nbytes) == (1, 2, 100)


def test_the_folder_of_a_living_scheduler_is_not_taken_over(tmp_path):
    own, other = LifeFolder(tmp_path / "s" / "a"), LifeFolder(tmp_path / "s" / "b")
    assert list(left_behind(tmp_path / "s", own)) == []
    with pytest.raises(BlockingIOError):
        LifeFolder(other.path)
    other.close()
    (found,) = left_behind(tmp_path / "s", own)
    assert found.path == other.path
    for folder in (own, found):
        folder.remove()
    assert [*(tmp_path / "s").iterdir()] == []


def test_a_segment_that_somebody_removes_does_not_keep_the_others_back(tmp_path):
    names = [segment_name(0, number, ".gz") for number in (1, 2, 3)]
    LifeFolder(tmp_path / "a").close()
    for name in names:
        (tmp_path / "a" / name).write_bytes(b"x")
    left = LifeFolder(tmp_path / "a")
    (tmp_path / "a" / names[1]).unlink()
    assert [segment.path.name for segment in left.segments()] == [names[0], names[2]]


def test_a_run_counts_from_its_records():
    run = RunSummary("s", "n", {"a": "b"}, True)
    log = Log().start(0, limit=5, dask_version="1", dashboard="http://x")
    log.join(1, "tcp://a").join(1, "tcp://b")
    log.sample(2, 7).leave(3, "tcp://b", expected=False).stop(4, "done")
    for record in log.records:
        run.see(record)
    for i in range(200):
        erred = {"event_name": "dask.task.erred", "task_prefix": f"p{i}"}
        run.see(erred | {"task_key": f"k{i}"})  # it is tried again
        run.see(erred | {"task_key": f"k{i}", "blamed_key": f"k{i}"} | TEXT)
        run.see(erred | {"task_key": f"d{i}", "blamed_key": f"k{i}"})
    found = run.as_dict()
    assert found["erred"] == 400 and found["tasks"] == 0
    assert found["exceptions"] == ["E('x')"] and len(found["prefixes"]) == 100
    assert (found["workers_max"], found["workers_lost"]) == (2, 1)
    assert found["rss_peak"] == 7 * 2**20 and found["limit"] == 512 * 2**20
    assert found["versions"] == {"dask": "1"} and found["reason"] == "done"
    assert found["schema_version"] == 1 and found["dashboard"] == "http://x"


TEXT = {"exception_text": "E('x')"}


def test_without_records_of_tasks_their_counts_are_null():
    found = RunSummary("s", None, {}, False).as_dict()
    assert found["tasks"] is None and found["erred"] is None


def test_a_missing_package_is_named_with_its_key_and_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = "leandask.event-log.archive needs the package s3fs .* 'leandask.s3.'"
    with pytest.raises(ImportError, match=told):
        check_installed("leandask.event-log.archive", "s3://bucket")
    settings = {"archive": "s3://b", "archive-folder": str(tmp_path / "spool")}
    with dask.config.set({f"leandask.event-log.{k}": v for k, v in settings.items()}):
        with pytest.raises(UnusablePath, match=told):
            EventLog.of("Scheduler-1")
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_can_not_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    settings = {"archive": "memory://b", "archive-folder": str(tmp_path / "file")}
    with dask.config.set({f"leandask.event-log.{k}": v for k, v in settings.items()}):
        with pytest.raises(UnusablePath, match="archive-folder must be a folder on"):
            EventLog.of("Scheduler-1")


def test_a_local_log_that_is_refused_leaves_nothing_in_the_archive(tmp_path, bucket):
    with dask.config.set({"leandask.event-log.path": str(tmp_path)}):
        with pytest.raises(UnusablePath, match=r"event-log\.path must be"):
            EventLog.of("Scheduler-1")
    assert not bucket.exists() and spool_in(tmp_path) == []


def test_a_run_that_can_not_be_noted_here_stops_no_upload(tmp_path, bucket):
    log = EventLog.of("Scheduler-1")
    (log.archive.recent.parent / "run.part").mkdir()  # as on a disk that fails
    for line in lines(3):
        log.archive.take(json.loads(line), line[:-1], 20)
    wait_for(lambda: log.archive.report()["errors"] > 1)
    for line in lines(3, first=4):
        log.archive.take(json.loads(line), line[:-1], 20)
    wait_for(lambda: len(segments_in(bucket)) > 0)
    assert not log.archive.report()["failing"]
    log.detach(30)
    assert_no_gap(list(LogReader(f"file://{bucket}").records()))


def test_passwords_of_urls_are_not_shown():
    assert shown("ftp://me:secret@host/x") == "ftp://me@host/x"


def test_the_spool_is_beside_the_log_outside_folders_of_one_life(tmp_path):
    path = str(tmp_path / "{scheduler_id}" / "log.jsonl")
    assert spool_of("s3://b/x", path).parent == tmp_path
    assert spool_of("s3://b/x", path) != spool_of("s3://b/y", path)
    assert not str(spool_of("s3://b/x", "/dev/stdout")).startswith("/dev")


def test_the_packages_of_buckets_are_imported_for_an_archive_only(tmp_path):
    code = """if True:
        import sys, asyncio, dask
        from tests.helpers.schedulers import LOCAL
        from leandask import LeanScheduler, LogReader
        from leandask.cli.main import main
        dask.config.set({"leandask.event-log.path": sys.argv[1]})
        async def run():
            async with LeanScheduler(port=0, **LOCAL):
                print("fsspec" in sys.modules, "s3fs" in sys.modules)
        asyncio.run(run())
    """
    log = tmp_path / "log.jsonl"
    args = [sys.executable, "-c", code, log]
    assert subprocess.check_output(args, text=True).split() == ["False", "False"]


def test_a_child_process_leaves_the_archive_to_its_parent(tmp_path, bucket):
    archive = Archive.of(f"file://{bucket}", None, "Scheduler-1")
    archive.start()
    for line in lines(3):
        archive.take(json.loads(line), line[:-1], 20)
    if (pid := os.fork()) == 0:
        archive.close(5)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert archive.recent.parent.exists()
    archive.close(30)
    assert len(segments_in(bucket)) == 1
    names = [thread.name for thread in threading.enumerate()]
    assert "leandask-archive" not in names


def test_a_log_in_a_folder_of_a_url_is_read_with_its_rotated_files(tmp_path):
    every = [*lines(300)]
    (tmp_path / "log.jsonl.1").write_bytes(b"".join(every[:100]))
    (tmp_path / "log.jsonl").write_bytes(b"".join(every[100:]))
    reader = LogReader(f"file://{tmp_path}")
    assert_no_gap(list(reader.records()))
    assert not reader.problems
    reader = LogReader(f"file://{tmp_path}/log.jsonl")
    assert len(list(reader.records())) == 200
    assert Path(f"{tmp_path}/log.jsonl").exists()


def test_new_segments_of_a_run_are_followed(bucket):
    write_archive(3)
    (log,) = bucket_logs(f"file://{bucket}/Scheduler-1")
    with BucketFollow(log, Filter(), interval=0) as follow:
        assert list(follow.records()) == []
        write_archive(2, first=4)
        assert [record["seq"] for record in follow.records()] == [4, 5]
        assert list(follow.records()) == []
        write_archive(1, first=7)
        assert [record["seq"] for record in follow.records()] == [7]
        assert follow.problems.missing == 1
