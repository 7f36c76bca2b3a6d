"""An archive on a server of S3: odd names, and a server that is slow or refuses."""

from __future__ import annotations

import os

import dask
import pytest
from distributed.utils_test import gen_test

from leandask import LogReader
from leandask.eventlog.eventlog import EventLog
from leandask.settings.logpath import UnusablePath
from tests.helpers.buckets import needs_s3, s3  # noqa: F401
from tests.helpers.logs import assert_no_gap
from tests.helpers.schedulers import lean, until

pytestmark = [needs_s3, pytest.mark.timeout(180)]

#: fsspec keeps its threads for the whole process.
in_time = gen_test(timeout=120, clean_kwargs={"threads": False})

FOREVER = 10**9


def settings(tmp_path, url, **more):
    event_log = {
        "path": url,
        "archive-folder": str(tmp_path / "spool"),
        "archive-interval": "100 ms",
        "flush-interval": "10 ms",
        **more,
    }
    stream = {"leandask.stream.close-timeout": "60s"}
    return {f"leandask.event-log.{key}": v for key, v in event_log.items()} | stream


def assert_complete(tmp_path, url, archive):
    """Check that the bucket has all records, and that the report says so."""
    reader = LogReader(url)
    records = list(reader.records())
    assert_no_gap(records)
    assert records[-1]["event_name"] == "dask.scheduler.stop"
    assert not any(reader.problems.counts.values())
    report = archive.report()
    for name in ("waiting", "lost"):
        assert report[f"segments_{name}"] == report[f"bytes_{name}"] == 0
    assert report["lines_lost"] == 0 and not report["failing"]
    assert report["bytes_uploaded"] > 0 and report["last_upload"]
    assert [*(tmp_path / "spool").glob("*/*")] == []


@pytest.mark.parametrize(
    "prefix",
    [
        "a?b",
        "a#1",
        "a*b [c]",
        " space ",
        "é/日本 +%20",
        "a//b",
        "../x",
        "a&b=c;d|e",
    ],
)
@in_time
async def test_a_prefix_is_used_as_it_is(s3, tmp_path, prefix):  # noqa: F811
    url = f"s3://bucket/{prefix}"
    with dask.config.set(settings(tmp_path, url)):
        async with lean() as s:
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["segments_uploaded"] > 0)
    assert_complete(tmp_path, url, archive)
    assert prefix in s3.keys()[0] and s.id in s3.keys()[0]


@pytest.mark.parametrize(
    "url", ["s3://b/x?versionId=1", "gs://b/x?generation=1", "s3://b/x\ny"]
)
def test_a_url_that_objects_would_not_be_below_is_refused(tmp_path, url):
    with dask.config.set(settings(tmp_path, url)):
        with pytest.raises(UnusablePath, match="path must be a URL with neither"):
            EventLog.of("Scheduler-1")
    assert [*tmp_path.iterdir()] == []


@in_time
async def test_a_bucket_that_is_slow_gets_all_in_the_end(s3, tmp_path):  # noqa: F811
    url = "s3://bucket/dask"
    bounds = {"archive-bytes": "64 KiB"}
    with dask.config.set(settings(tmp_path, url, **bounds)):
        async with lean() as s:
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["segments_uploaded"] > 0)
            s3.way.state = "slow"
            for _ in range(12):  # they take more than 20 s to upload
                for _ in range(100):
                    s.log_event("mine", os.urandom(1000).hex())
                await until(lambda: s.stream.queue.nbytes == 0)
            await until(lambda: archive.report()["segments_waiting"] > 2, timeout=60)
            await until(s3.way.held.is_set)
            assert archive.report()["errors"] == 0
            s3.way.state = "open"
    assert_complete(tmp_path, url, archive)


@pytest.mark.parametrize(
    "fault, told",
    [
        ("credentials", "AWS Access Key Id you provided does not exist"),
        ("bucket", "bucket does not exist"),
        ("refusal", "reduce your request rate"),
    ],
)
@in_time
async def test_what_a_server_refused_is_uploaded_once_it_takes_it(
    s3,  # noqa: F811
    tmp_path,
    caplog,
    fault,
    told,
):
    url = "s3://later/dask" if fault == "bucket" else "s3://bucket/dask"
    if fault == "credentials":
        s3.accept(0)
    elif fault == "refusal":
        s3.way.state = "refuses"
    with dask.config.set(settings(tmp_path, url)):
        async with lean() as s:
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["errors"] > 1, timeout=60)
            report = archive.report()
            assert report["failing"] and told in report["last_error"]
            assert report["segments_uploaded"] == 0 and report["last_upload"] is None
            s3.accept(FOREVER)
            s3.make_bucket("later")
            s3.way.state = "open"
            await until(lambda: not archive.report()["failing"], timeout=60)
    assert archive.report()["errors"] >= report["errors"]
    assert caplog.text.count("Can't upload to the archive") == 1
    assert caplog.text.count("can be written again") == 1
    assert_complete(tmp_path, url, archive)
