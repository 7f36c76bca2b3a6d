"""A bucket that is slow, hangs, refuses, is away, or is not there."""

from __future__ import annotations

import json
import signal
import time

import dask
import pytest
from click.testing import CliRunner
from distributed import Client
from distributed.utils_test import gen_test

from leandask import LogReader
from leandask.cli.main import main
from leandask.eventlog.archive.bucket import Bucket
from tests.helpers.buckets import needs_s3, s3  # noqa: F401
from tests.helpers.logs import assert_no_gap
from tests.helpers.processes import wait_for
from tests.helpers.schedulers import lean, until

pytestmark = [needs_s3, pytest.mark.timeout(180)]

#: fsspec keeps its threads for the whole process.
in_time = gen_test(timeout=120, clean_kwargs={"threads": False})

URL = "s3://bucket/dask"
SETTINGS = {
    "leandask.event-log.path": URL,
    "leandask.event-log.archive-interval": "100 ms",
    "leandask.event-log.flush-interval": "10 ms",
    "leandask.stream.close-timeout": "20s",
}


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


def settings(spool, **more):
    return SETTINGS | {"leandask.event-log.archive-folder": str(spool)} | more


def environment(spool):
    prefix = "DASK_LEANDASK__EVENT_LOG__ARCHIVE"
    return {f"{prefix}_FOLDER": str(spool), f"{prefix}_INTERVAL": "200 ms"}


def waiting_in(spool):
    return [path for path in spool.glob("*/*/*.jsonl.*") if path.name[0] == "2"]


def texts_in(spool):
    """What is in the segments that wait."""
    paths = waiting_in(spool)
    return str([record for path in paths for record in LogReader(path).records()])


def records(url=URL):
    reader = LogReader(url)
    found = list(reader.records())
    counts = {kind: n for kind, n in reader.problems.counts.items() if n}
    return found, counts


def runs():
    """The folders of runs in the bucket; none before the first upload."""
    try:
        return Bucket(URL).entries()
    except FileNotFoundError:
        return []


def run(*args):
    done = CliRunner().invoke(main, [*map(str, args)])
    return done.exit_code, done.stdout, done.stderr


@in_time
async def test_a_run_is_read_by_every_command(s3, spool, tmp_path):  # noqa: F811
    with dask.config.set(settings(spool)):
        async with lean() as s:
            s.log_event("mine", "hello")
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["segments_uploaded"] > 0)
    assert_no_gap(records()[0])
    assert [*spool.glob("*/*")] == []
    page = tmp_path / "page.html"
    for url in (URL, f"{URL}/", f"{URL}/{s.id}", f"{URL}/{s.id}/"):
        assert "mine: hello" in run("events", url)[1]
        assert "scheduler stopped" in run("tail", url, "-n", "1")[1]
        assert "dask.scheduler.stop" in run("stats", url)[1]
        assert run("timeline", url, "-o", page)[0] == 0
        assert run("story", url, "x")[0] == 0
    (entry, *_) = Bucket(f"{URL}/{s.id}").entries()
    assert run("stats", f"{URL}/{s.id}/{entry.name}")[0] == 0
    document = Bucket(URL).read(f"{s.id}/run.json", 0, 10_000)
    assert json.loads(document)["ended"] is not None


@in_time
async def test_an_upload_that_hangs_holds_neither_the_scheduler_nor_its_end(
    s3,  # noqa: F811
    spool,
):
    s3.way.state = "hangs"
    with dask.config.set(settings(spool) | {"leandask.stream.close-timeout": "1s"}):
        async with lean() as s:
            extension = s.extensions["leandask"]
            s.log_event("mine", 1)
            await until(s3.way.held.is_set)
            for i in range(500):
                s.log_event("mine", i)
            await until(lambda: extension.event_log.lines_written > 500)
    assert extension.event_log.archive._uploader.is_alive  # in that upload
    assert len(waiting_in(spool)) > 0
    s3.way.state = "open"
    with dask.config.set(settings(spool)):
        async with lean() as following:
            pass
    assert_no_gap(records(f"{URL}/{s.id}")[0])
    assert_no_gap(records(f"{URL}/{following.id}")[0])
    # The thread that hung finds its segment gone.
    assert waiting_in(spool) == [] or s.id in str(waiting_in(spool))


@pytest.mark.parametrize("state", ["refuses", "closed"])
@in_time
async def test_a_bucket_that_fails_for_a_while_gets_all(s3, spool, state):  # noqa: F811
    with dask.config.set(settings(spool)):
        async with lean() as s:
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["segments_uploaded"] > 0)
            s3.way.state = state
            s.log_event("mine", 1)
            await until(lambda: archive.report()["failing"], timeout=60)
            assert archive.report()["last_error"]
            s3.way.state = "open"
            await until(lambda: not archive.report()["failing"], timeout=60)
    found, problems = records()
    assert_no_gap(found)
    assert problems == {} and waiting_in(spool) == []
    assert archive.report()["segments_lost"] == 0


def test_a_server_that_was_killed_and_started_again_gets_the_rest(
    s3,  # noqa: F811
    spool,
    start,
):
    scheduler, _ = start("--event-log", URL, **environment(spool))
    wait_for(runs)
    s3.kill()
    time_of_death = time.time()
    wait_for(lambda: waiting_in(spool))
    s3.start()  # an empty one, as it keeps nothing
    assert scheduler.stop() == 0
    found, problems = records()
    assert found[-1]["event_name"] == "dask.scheduler.stop"
    assert {*problems} <= {"cut"}
    assert time_of_death < time.time() and waiting_in(spool) == []


@pytest.mark.parametrize(
    "url, told", [("s3://none/x", "bucket does not exist"), (URL, "credentials")]
)
@in_time
async def test_a_bucket_that_is_not_there_or_not_ours_is_reported_once(
    s3,  # noqa: F811
    spool,
    caplog,
    monkeypatch,
    url,
    told,
):
    if url == URL:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with dask.config.set(settings(spool) | {"leandask.event-log.path": url}):
        async with lean() as s:
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["errors"] > 1)
            assert told in archive.report()["last_error"]
    assert caplog.text.count("Can't upload to the archive") == 1
    assert "the next scheduler that has the folder" in caplog.text
    status, _, err = run("events", url)
    assert status == 1 and told in err and len(err.splitlines()) == 1


def test_a_killed_scheduler_loses_nothing_that_was_written(
    s3,  # noqa: F811
    spool,
    start,
):
    scheduler, file = start("--event-log", URL, **environment(spool))
    wait_for(runs)
    s3.way.state = "hangs"  # so that something is left
    with Client(scheduler_file=str(file)) as client:
        client.log_event("mine", "last words")
        wait_for(lambda: len(client.get_events("mine")) == 1)
        wait_for(lambda: "last words" in texts_in(spool))
    scheduler.stop(signal.SIGKILL)
    file.unlink()
    assert waiting_in(spool)
    s3.way.state = "open"
    following, _ = start("--event-log", URL, **environment(spool))
    wait_for(lambda: not [p for p in waiting_in(spool) if is_left(p, spool)])
    assert following.stop() == 0
    assert "last words" in run("events", URL)[1]
    found, problems = records()
    assert len({record["scheduler_id"] for record in found}) == 2
    assert "gap" not in problems and waiting_in(spool) == []
    folders = Bucket(URL).entries()
    assert len(folders) == 2
    for folder in folders:
        assert Bucket(URL).file(f"{folder.name}/run.json") is not None


def is_left(path, spool):
    """Whether a segment is of the first of two schedulers: the older folder."""
    folders = sorted(spool.glob("*/*"), key=lambda p: p.stat().st_ctime)
    return len(folders) > 1 and path.parent == folders[0]


@in_time
async def test_ten_schedulers_have_one_prefix(s3, spool):  # noqa: F811
    with dask.config.set(settings(spool)):
        schedulers = [await lean() for _ in range(10)]
        for s in schedulers:
            s.log_event("mine", s.id)
        for s in schedulers:
            await s.close()
    found, problems = records()
    assert problems == {"scheduler": 9}
    for s in schedulers:
        assert_no_gap([r for r in found if r["scheduler_id"] == s.id])
    assert [*spool.glob("*/*")] == []
