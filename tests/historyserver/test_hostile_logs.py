"""Logs that are broken, made to harm, or too large: each costs its own page only."""

from __future__ import annotations

import contextlib
import gzip
import html
import json
import os
import socket
from itertools import islice, product
from urllib.parse import quote, urlsplit

import psutil
import pytest

from leandask.eventlog.formatter import JSONFormatter
from leandask.records.text import name_of
from tests.helpers.logs import HOSTILE, Log, run_record, write, write_logs
from tests.helpers.processes import wait_for


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def hostile_log(scheduler_id):
    """A log with a hostile text wherever a text can be."""
    log = Log(scheduler_id)
    log.start(0, python_version=HOSTILE[0], **{HOSTILE[1]: HOSTILE[2]})
    log.records[0]["address"] = HOSTILE[1]
    for i, text in enumerate(HOSTILE):
        log.join(i + 1, text)
        log.event(i + 1, text, text, 13, worker=text, message=text)
        log.task(i + 1, text, "released", "waiting", "processing", "erred")
        run = {
            "task_key": text,
            "task_prefix": text,
            "task_group": text,
            "worker": text,
            "worker_name": text,
            "retries_left": 0,
            "stimulus_id": text,
        }
        times = {"run_start": log.records[0]["timestamp"], "compute_seconds": 1.0}
        log.add(i + 1, "dask.task.finished", **run, **times, nbytes=5, message=text)
        log.add(
            i + 1,
            "dask.task.erred",
            **run,
            blamed_key=text,
            exception_type=text,
            exception_text=text,
            exception=text,
            message=text,
        )
        log.pressure(i + 1, 500, text).leave(i + 2, text, expected=False)
    return log.stop(30, reason=HOSTILE[1])


def test_hostile_texts_reach_no_page_as_markup(serve, logs):
    for i, text in enumerate(HOSTILE):
        if text.isprintable():
            write_logs(logs / f"{i}.jsonl", hostile_log(text))
    folder = logs / "archived"
    folder.mkdir()
    summary = dict.fromkeys(("name", "address", "reason", "dashboard"), HOSTILE[0])
    summary |= {"scheduler_id": "S-1", "labels": {HOSTILE[0]: HOSTILE[1]}}
    summary |= {"dashboard": "javascript:alert(1)", "started": 0, "exceptions": [1, {}]}
    (folder / "run.json").write_text(json.dumps(summary))
    with serve(logs) as server:
        n = 1 + sum(text.isprintable() for text in HOSTILE)
        ids = [run["id"] for run in server.wait_for_runs(n).values()]
        pages = [server.get("/")[2]]
        for run_id in ids:
            assert run_id == "S-1" or run_id.startswith(("run-", "k"))
            pages.append(server.get(f"/runs/{run_id}")[2])
        for page in pages:
            assert page.lower().count(b"<script") == 1 and b"<img" not in page
            assert b"javascript:" not in page
        run_id = next(each for each in ids if each.startswith("run-"))
        [*_] = server.ask(f"/runs/{run_id}/tasks")["tasks"]
        assert len(server.ask(f"/runs/{run_id}/errors")["errors"]) >= 5
        _, headers, body = server.get(f"/runs/{run_id}/log")
        assert run_id in headers["Content-Disposition"]
        assert len(body.splitlines()) == len(hostile_log("x").records)


@pytest.mark.parametrize("is_url", [False, True])
def test_a_log_is_shown_whatever_its_name(serve, logs, is_url):
    name = "no\xa0break line\nbreak \u202eleft \x1b[31m %2e?#&é"
    (logs / name).mkdir()
    write_logs(logs / name / f"{name}.jsonl", Log("S-1").start(0).stop(9))
    with serve(f"file://{logs}" if is_url else logs) as server:
        server.wait_for_runs(1)
        assert server.ask("/runs/S-1/overview")["records"] == 2
        assert server.ask("/runs")["problems"] == []


@pytest.mark.parametrize("is_url", [False, True])
def test_a_log_that_can_not_be_shown_for_its_name_is_named(serve, logs, is_url):
    write_logs(logs / "good.jsonl", Log("good").start(0).stop(9))
    write_logs(logs / "bad\n\udcff.jsonl", Log("bad").start(0).stop(9))
    with serve(f"file://{logs}" if is_url else logs) as server:
        server.wait_for_runs(1)
        [problem] = wait_for(lambda: server.ask("/runs")["problems"])
        assert r"/bad\n\udcff.jsonl': its path must be UTF-8" in problem
        assert problem.encode() in html.unescape(server.get("/")[2].decode()).encode()
        write_logs(logs / "later.jsonl", Log("later").start(0).stop(9))
        server.wait_for_runs(2)  # it has looked again
    said = [line for line in server.stderr.splitlines() if "must be UTF-8" in line]
    assert said == [f"leandask: {problem}"]


def test_values_of_the_wrong_type_are_left_out(serve, logs):
    encode = JSONFormatter().encode_fields
    log = hostile_log("S-1")
    lines = []
    for i, record in enumerate(log.records):
        names = [n for n in record if n not in ("scheduler_id", "seq", "timestamp")]
        broken = record | {names[i % len(names)]: [None, {}, [[]], 10**400, -1][i % 5]}
        lines.append(json.dumps(broken).encode() + b"\n")
    lines.append(encode(log.records[-1]) + b"\n")
    write(logs / "log.jsonl", *lines)
    summaries = [[], {}, {"scheduler_id": 5}, "", {"scheduler_id": "x", "tasks": {}}]
    for i, summary in enumerate(summaries):
        (logs / str(i)).mkdir()
        (logs / str(i) / "run.json").write_text(json.dumps(summary))
    with serve(logs) as server:
        server.wait_for_runs(2)
        for part in ("overview", "tasks", "errors", "workers", "events"):
            server.ask(f"/runs/S-1/{part}")
        problems = wait_for(lambda: server.ask("/runs")["problems"])
        assert len(problems) == 4 and all("run.json" in text for text in problems)


def test_a_broken_log_hides_no_other(serve, logs):
    write_logs(logs / "good.jsonl", Log("good").start(0).stop(1))
    (logs / "binary.jsonl").write_bytes(os.urandom(2**20))
    (logs / "lines.jsonl").write_bytes(b"{" * 2**22 + b"\n" + b"[" * 2**22)
    (logs / "deep.jsonl").write_bytes(b'{"a":' * 10_000 + b"\n")
    (logs / "empty.jsonl").touch()
    (logs / "torn.jsonl.1.gz").write_bytes(gzip.compress(b"{}\n" * 10_000)[:-20])
    os.mkfifo(logs / "fifo.jsonl")
    (logs / "loop.jsonl").symlink_to("loop.jsonl")
    (logs / "folder").mkdir()
    (logs / "folder" / "loop").symlink_to(logs)
    (logs / "waiting").mkdir()
    os.mkfifo(logs / "waiting" / "run.json")
    with serve(logs) as server:
        assert [*server.wait_for_runs(1)] == ["good"]
        assert server.ask("/runs/good/overview")["records"] == 2


def test_a_page_that_takes_too_long_says_so(serve, logs):
    write_logs(logs / "log.jsonl", Log("S-1").start(0).stop(1))
    with serve(logs, "--page-timeout", "1 ms") as server:
        server.wait_for_runs(1)
        status, _, body = server.get("/api/v1/runs/S-1/overview")
        assert status == 422 and b"it takes longer than" in body
        assert server.get("/runs/S-1")[0] == 200


def children(server):
    """The processes of the server that make pages."""
    found = []
    for child in psutil.Process(server.popen.pid).children():
        with contextlib.suppress(psutil.Error):  # it has ended
            if any("runpage.worker" in word for word in child.cmdline()):
                found.append(child)
    return found


def test_a_page_ends_when_its_reader_leaves(serve, logs, tmp_path):
    log = Log("S-1").start(0)
    for i in range(200_000):
        log.event(i, "all", "x")
    write_logs(logs / "log.jsonl", log)
    with serve(logs) as server:
        server.wait_for_runs(1)
        url = urlsplit(server.url)
        with socket.create_connection((url.hostname, url.port)) as reader:
            path = "/api/v1/runs/S-1/overview"
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            wait_for(lambda: children(server))
        wait_for(lambda: not children(server))
        # A page that was made would stay.
        answers = server.index.with_name(f"{server.index.name}.answers")
        wait_for(lambda: not [*answers.iterdir()])


@pytest.mark.parametrize("key", ["a\x1b[31m", " b\n", "k" * 10**4])
def test_any_key_has_its_story(serve, logs, key):
    log = Log("S-1").start(0)
    log.records.append(run_record(1, name_of(key), scheduler_id="S-1"))
    write_logs(logs / "log.jsonl", log)
    with serve(logs) as server:
        server.wait_for_runs(1)
        found = server.ask(f"/runs/S-1/story?key={quote(key)}")["records"]
    assert [record["task_key"] for record in found] == [name_of(key)]


EARLY = "0001-01-01T00:00:00", "0999-01-01", "1969-12-31T23:59:59-12:00"
LATE = "9999-12-31T23:59:59Z", "2999-01-01T00:00+05:00", "9999-01-01"
NEVER = (
    *("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "-0001-01-01"),
    *("10000-01-01", "99999999 days", "-99999999 days", "1e400 s", "nan s", "-1"),
)


def test_any_time_has_an_answer_or_is_refused_by_name(serve, logs):
    write_logs(logs / "log.jsonl", Log("S-1").start(0).stop(1))
    with serve(logs) as server:
        server.wait_for_runs(1)
        for since, until in zip(EARLY, LATE, strict=True):
            since, until = quote(since), quote(until)
            assert len(server.runs(f"?since={since}&until={until}")) == 1
            assert server.runs(f"?since={until}&until={since}") == []
            assert server.get(f"/?since={since}&until={until}")[0] == 200
            events = f"/runs/S-1/events?since={since}&until={until}"
            assert len(server.ask(events)["records"]) == 2
        for path in ("/api/v1/runs", "/api/v1/runs/S-1/events", "/"):
            for name, value in product(("since", "until"), NEVER):
                status, _, body = server.get(f"{path}?{name}={quote(value)}")
                text = html.unescape(body.decode())
                assert status == 400 and f"got {value!r}" in text
                assert f"{name} must be an ISO 8601 time such as" in text
            for value in ("%00", "%FF", "%ED%A0%80", "9" * 10_000):
                assert server.get(f"{path}?since={value}")[0] == 400


def test_head_of_a_live_run_ends_at_once(serve, logs):
    write_logs(logs / "log.jsonl", Log("S-1").start(0))
    requests = "HEAD /api/v1/runs/S-1/live", "GET /health"
    text = "".join(f"{r} HTTP/1.1\r\nHost: localhost\r\n\r\n" for r in requests)
    with serve(logs) as server:
        server.wait_for_runs(1, state="running")
        url = urlsplit(server.url)
        with socket.create_connection((url.hostname, url.port), timeout=10) as reader:
            reader.sendall(text.encode())
            with reader.makefile("rb") as answers:
                statuses = (line for line in answers if line.startswith(b"HTTP/"))
                assert [*islice(statuses, 2)] == 2 * [b"HTTP/1.1 200 OK\r\n"]


def test_a_lost_index_is_made_again(serve, logs):
    write_logs(logs / "log.jsonl", Log("S-1").start(0).stop(1))
    with serve(logs) as server:
        server.wait_for_runs(1)
        server.index.unlink()

        def runs():
            status, _, body = server.get("/api/v1/runs")
            return json.loads(body)["runs"] if status == 200 else []

        wait_for(runs)
    for path in server.index.parent.glob("runs.sqlite*"):
        if path.is_file():
            path.write_bytes(b"this is no database" * 1000)
    with serve(logs) as server:
        server.wait_for_runs(1)
