from __future__ import annotations

import gc
import logging
import re
import subprocess
import sys
import weakref

import dask.config
import pytest
from distributed import Scheduler
from distributed.http.scheduler.prometheus import core
from distributed.utils_test import gen_test
from prometheus_client.parser import text_string_to_metric_families

from leandask import install
from leandask.cli.reportlines import report_lines
from leandask.records.times import rfc3339
from leandask.serving.metrics import LeanCollector
from leandask.serving.report import report_of
from tests.helpers.schedulers import LOCAL, OUR_METRICS, lean, scrape, series_of, until

pytestmark = pytest.mark.usefixtures("fresh_collectors")


@gen_test()
async def test_the_series_have_the_figures_of_the_report(tmp_path):
    path = {"leandask.event-log.path": str(tmp_path / "events.jsonl")}
    with dask.config.set(path):
        async with lean(retention={"events": 10, "spans": None}) as s:
            for _ in range(25):
                s.log_event("x", "text")
            s.stream.life("test", "flushed at once", {}, logging.WARNING)
            s.stream.close()
            series, report = await series_of(s), report_of(s)
            events = report["histories"]["events"]
            assert (events["kept"], events["seen"]) == (10, 25)
            assert series["history_entries", "events"] == 10
            assert series["history_seen_total", "events"] == 25
            assert series["history_bytes", "events"] == events["bytes"]
            assert series["history_bound", "events"] == 10
            assert series["history_bound_bytes", "events"] == 2**19
            assert series["records_emitted_total",] == report["stream"]["emitted"]
            assert series["records_written_total",] == report["stream"]["written"]
            assert series["records_queued",] == 0
            log = report["event_log"]
            assert series["event_log_lines_total",] == log["lines_written"] > 25
            assert series["event_log_bytes_total",] == log["bytes_written"]
            assert series["event_log_lines_lost_total",] == 0
            assert series["event_log_failing",] == 0
            memory = report["memory"]
            assert series["memory_limit_bytes",] == memory["limit"]
            assert series["rss_bytes",] == pytest.approx(memory["rss"], rel=0.1)
            assert series["rss_peak_bytes",] >= series["rss_bytes",]


@gen_test()
async def test_the_series_of_an_archive_have_its_figures(tmp_path):
    settings = {
        "leandask.event-log.path": f"file://{tmp_path}/bucket",
        "leandask.event-log.archive-folder": str(tmp_path),
        "leandask.event-log.archive-interval": "50ms",
    }
    with dask.config.set(settings):
        async with lean() as s:
            s.stream.life("test", "flushed at once", {}, logging.WARNING)
            archive = s.extensions["leandask"].event_log.archive
            await until(lambda: archive.report()["segments_uploaded"] > 0)
            series, report = await series_of(s), archive.report()
            for what in ("segments", "bytes"):
                uploaded = series[f"archive_{what}_uploaded_total",]
                assert 0 < uploaded <= report[f"{what}_uploaded"]
                assert series[f"archive_{what}_lost_total",] == 0
                assert f"archive_{what}_waiting" in [name for name, *_ in series]
            assert series["archive_failing",] == series["archive_errors_total",] == 0
            last = series["archive_last_upload_timestamp_seconds",]
            assert report["last_upload"] >= rfc3339(last)
            shown = "\n".join(report_lines(report_of(s)))
            assert f"archive: file://{tmp_path}/bucket, " in shown
            assert "B) uploaded, the last upload at 2" in shown
            assert "errors, the last one" not in shown


@gen_test()
async def test_an_unbounded_or_uncounted_figure_has_no_sample():
    async with lean(retention={"spans": None}) as s:
        series = await series_of(s)
        assert ("history_entries", "spans") in series
        assert ("history_bound", "spans") not in series
        assert ("history_bound_bytes", "spans") not in series
        assert ("history_seen_total", "messages") not in series
        assert not [name for name, *_ in series if name.startswith("event_log")]


@gen_test()
async def test_dropped_records_are_counted_by_reason():
    async with lean() as s:
        s.stream.close()
        s.log_event("x", 1)
        series = await series_of(s)
        assert series["records_dropped_total", "closed"] == 1
        reasons = {key[1] for key in series if key[0] == "records_dropped_total"}
        assert reasons == {"queue-length", "queue-bytes", "closed", "failed"}


@gen_test()
async def test_names_types_and_texts_follow_the_rules_of_prometheus(tmp_path):
    with dask.config.set({"leandask.event-log.path": str(tmp_path / "log")}):
        async with lean() as s:
            s.log_event("x", 1)
            text = await scrape(s)
    samples = []
    families = [
        family
        for family in text_string_to_metric_families(text)
        if family.name.startswith(OUR_METRICS)
    ]
    assert len(families) == 37
    for family in families:
        assert family.documentation
        assert family.documentation != family.name
        assert family.type in ("counter", "gauge")
        for sample in family.samples:
            assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", sample.name)
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert not re.search(r"_(kib|mib|ms|milliseconds)(_|$)", sample.name)
            assert set(sample.labels) <= {"history", "kind", "level", "reason"}
            samples.append((sample.name, *sample.labels.items()))
    assert len(samples) == len(set(samples))
    lines = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(lines) == len(set(lines))


@gen_test()
async def test_the_number_of_series_does_not_grow_with_topics():
    async with lean() as s:
        before = set(await series_of(s))
        for i in range(50):
            s.log_event(f"topic-{i}", {"action": f"action-{i}"})
        assert set(await series_of(s)) == before


@gen_test()
async def test_each_of_several_schedulers_has_its_own_figures(caplog):
    async with lean() as a, lean() as b, Scheduler(**LOCAL) as plain:
        for _ in range(3):
            a.log_event("x", 1)
        b.log_event("x", 1)
        seen = "history_seen_total", "events"
        assert (await series_of(a))[seen] == 3
        assert (await series_of(b))[seen] == 1
        assert await series_of(plain) == {}
        assert "dask_scheduler_clients" in await scrape(plain)
        assert (await series_of(a))[seen] == 3
        assert "can't be collected" not in caplog.text


@gen_test()
async def test_a_scheduler_made_lean_after_a_request_has_the_series():
    async with Scheduler(**LOCAL) as s:
        assert await series_of(s) == {}
        install(s)
        s.log_event("x", 1)
        assert (await series_of(s))["history_seen_total", "events"] == 1
        install(s)
        async with lean() as other:
            other.log_event("x", 1)
            assert (await series_of(other))["history_seen_total", "events"] == 1
    assert [repr(c) for c in core.PrometheusHandler._collectors].count(
        "<GuardedCollector: LeanCollector>"
    ) == 1


def test_the_collector_does_not_keep_the_scheduler_alive():
    class Server:
        extensions = {}

    server = Server()
    collector = LeanCollector(server)
    gone = weakref.ref(server)
    assert collector.server is server
    del server
    gc.collect()
    assert gone() is None
    assert list(collector.collect()) == []


@pytest.mark.parametrize("present", [True, False])
def test_prometheus_client_is_optional(present):
    code = f"""
import asyncio, sys
if not {present}:
    sys.modules["prometheus_client"] = None
from tornado.httpclient import AsyncHTTPClient
import leandask.serving.metrics
print("prometheus_client" in sys.modules and {present})
from leandask import LeanScheduler
async def main():
    s = LeanScheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0")
    async with s:
        url = f"http://127.0.0.1:{{s.http_server.port}}/metrics"
        body = (await AsyncHTTPClient().fetch(url)).body
        print(b"dask_leandask_rss_bytes" in body, b"not available" in body)
asyncio.run(main())
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", str(present), str(not present)]
