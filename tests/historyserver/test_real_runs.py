"""What the server shows of real schedulers, over its API."""

from __future__ import annotations

import json
import os
import shutil
import time

import jsonschema
import pytest
from click.testing import CliRunner

from leandask import History
from leandask.cli.main import main
from leandask.reading.files.listing import QUIET_SECONDS
from tests.helpers.logs import Log, append_logs, write_logs
from tests.helpers.paths import ROOT
from tests.helpers.processes import wait_for


def by_prefix(server, run_id):
    return {row["prefix"]: row for row in server.ask(f"/runs/{run_id}/tasks")["tasks"]}


def test_each_end_is_told(real_server, real_logs):
    logs, ids = real_logs
    # It has been quiet for a minute.
    then = time.time() - QUIET_SECONDS - 5
    os.utime(logs / "b.jsonl", (then, then))

    def found():
        runs = {run["scheduler_id"]: run for run in real_server.runs()}
        return runs if runs[ids["killed"]]["state"] != "running" else None

    runs = wait_for(found)
    clean, killed, lost = (runs[ids[end]] for end in ("clean", "killed", "lost"))
    assert clean["state"] == lost["state"] == "stopped"
    assert "signal-15" in clean["reason"]
    assert killed["state"] == "killed-memory"
    assert killed["reason"].startswith("killed, probably for memory: RSS was")
    assert (clean["tasks"], clean["erred"], clean["workers_max"]) == (50, 3, 2)
    assert (killed["tasks"], killed["erred"]) == (50, 0)
    assert lost["workers_lost"] >= 1 and lost["erred"] == 1
    assert clean["rss_limit"] > clean["rss_peak"] > 30 * 2**20
    assert clean["versions"]["distributed"]
    assert {"inc", "fail"} <= {*clean["prefixes"]}
    assert any("no 1 here" in text for text in clean["exceptions"])
    assert 0 < clean["duration"] < 120


def test_a_run_has_its_tasks_errors_and_workers(real_server, real_logs):
    _, ids = real_logs
    prefixes = by_prefix(real_server, ids["clean"])
    assert prefixes["inc"]["count"] == 50 and prefixes["inc"]["erred"] == 0
    assert prefixes["inc"]["compute_seconds"]["total"] >= 0
    [error] = real_server.ask(f"/runs/{ids['clean']}/errors")["errors"]
    assert (error["count"], error["type"]) == (3, "ValueError")
    assert "in fail" in error["line"] and "raise ValueError" in error["traceback"]
    workers = real_server.ask(f"/runs/{ids['lost']}/workers")["workers"]
    assert workers[0]["lost"] and workers[0]["why"].startswith("lost unexpectedly")
    assert sum(worker.get("count") or 0 for worker in workers) >= 50
    overview = real_server.ask(f"/runs/{ids['clean']}/overview")
    samples = overview["curves"]["samples"]
    assert max(samples["rss"]) > 30 * 2**20 and len(samples["ms"]) == len(
        samples["rss"]
    )
    assert sum(overview["curves"]["counts"]["finished"]) == 50
    assert overview["start"]["distributed_version"]


def test_a_page_is_made_though_the_cache_was_emptied(serve, real_logs):
    logs, ids = real_logs
    with serve(logs) as server:
        server.wait_for_runs(3)
        shutil.rmtree(f"{server.index}.answers")
        assert server.ask(f"/runs/{ids['clean']}/tasks")["tasks"]


def test_events_are_filtered_and_paged(real_server, real_logs):
    _, ids = real_logs
    path = f"/runs/{ids['clean']}/events"
    found = real_server.ask(f"{path}?topic=all&action=add-worker")["records"]
    assert len(found) == 2 and all(r["action"] == "add-worker" for r in found)
    first = real_server.ask(f"{path}?limit=5")
    assert first["has_more"] and len(first["records"]) == 5
    numbers = [r["seq"] for r in first["records"]]
    assert numbers == sorted(numbers, reverse=True)
    following = real_server.ask(f"{path}?limit=5&before={numbers[-1]}")["records"]
    assert following[0]["seq"] < numbers[-1]
    assert not any(r["event_name"] == "leandask.sample" for r in first["records"])


def test_the_story_of_a_key_has_its_run(real_server, real_logs):
    _, ids = real_logs
    [error] = real_server.ask(f"/runs/{ids['clean']}/errors")["errors"]
    key = error["first_key"]
    records = real_server.ask(f"/runs/{ids['clean']}/story?key={key}")["records"]
    names = [record["event_name"] for record in records]
    assert "dask.task.erred" in names and "dask.task.transition" in names
    assert {r["task_key"] for r in records if r["event_name"] == "dask.task.erred"} == {
        key
    }


def test_runs_are_searched(real_server, real_logs):
    _, ids = real_logs

    def found(query):
        return {run["scheduler_id"] for run in real_server.runs(f"?{query}")}

    assert found("exception=no+1+here") == {ids["clean"]}
    assert found("prefix=leave") == {ids["lost"]}
    assert found("errors=1") == {ids["clean"], ids["lost"]}
    assert found(f"q={ids['lost'][-8:]}") == {ids["lost"]}
    assert found("since=1+hour") == {*ids.values()}
    assert found("until=2020-01-01") == set()
    assert len(real_server.runs("?per_page=1&page=3&sort=tasks")) == 1


def test_two_runs_are_compared(real_server, real_logs):
    _, ids = real_logs
    found = real_server.ask(f"/compare?a={ids['clean']}&b={ids['killed']}")
    rows = {row["prefix"]: row for row in found["prefixes"]}
    assert rows["inc"]["a"]["count"] == rows["inc"]["b"]["count"] == 50
    assert rows["fail"]["b"] is None
    assert found["a"]["total"]["erred"] == 3
    assert found["b"]["run"]["rss_peak"] > 2**20


def test_python_and_the_command_list_the_runs(real_server, real_logs):
    _, ids = real_logs
    history = History(real_server.url)
    [run] = history.runs(exception="no 1 here")
    assert run["scheduler_id"] == ids["clean"]
    reader = history.run(run["id"])
    erred = [*reader.records(event_name="dask.task.erred")]
    assert len(erred) == 3 and not reader.problems
    with pytest.raises(ValueError, match="There is no such run"):
        history.run("nobody")
    done = CliRunner().invoke(main, ["runs", real_server.url, "--errors"])
    assert done.exit_code == 0 and ids["clean"] in done.stdout
    assert ids["killed"] not in done.stdout
    done = CliRunner().invoke(main, ["runs", real_server.url, "--json", "-n", "1"])
    assert json.loads(done.stdout)["id"]


def test_the_description_is_true_of_the_answers(real_server, real_logs):
    _, ids = real_logs
    doc = real_server.ask("/openapi.json")
    run_id = ids["clean"]
    queries = {"/api/v1/compare": f"?a={run_id}&b={run_id}", "story": "?key=x"}
    queries["progress"] = "?part=overview"
    for path, methods in doc["paths"].items():
        assert [*methods] == ["get"]
        [(kind, content)] = methods["get"]["responses"]["200"]["content"].items()
        if kind != "application/json":
            continue
        query = queries.get(path, queries.get(path.rpartition("/")[2], ""))
        status, headers, body = real_server.get(path.replace("{id}", run_id) + query)
        assert status == 200 and headers["Content-Type"].startswith(kind), path
        schema = content["schema"] | {"components": doc["components"]}
        jsonschema.validate(json.loads(body), schema)
    text = (ROOT / "docs" / "history.md").read_text()
    assert all(path.removeprefix("/api/v1") in text for path in doc["paths"])


def test_a_new_log_appears_and_a_growing_one_is_followed(serve, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    log = Log("Scheduler-new").start(0).sample(1, 100)
    with serve(logs) as server:
        assert server.runs() == []
        write_logs(logs / "new.jsonl", log)
        server.wait_for_runs(1)
        log.task(2, "x-1", "processing", "memory")
        append_logs(logs / "new.jsonl", log)
        wait_for(lambda: server.runs()[0]["tasks"] == 1)
        # Rotated, it is known; removed, it is forgotten.
        (logs / "new.jsonl").rename(logs / "new.jsonl.1")
        write_logs(logs / "new.jsonl", Log("Scheduler-new", 5).stop(9))
        wait_for(lambda: server.runs()[0]["state"] == "stopped")
        assert server.runs()[0]["tasks"] == 1
        for path in logs.iterdir():
            path.unlink()
        wait_for(lambda: not server.runs())
