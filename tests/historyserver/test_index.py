"""The index: what is read of logs as they grow, and how runs are found in it."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest

from leandask.eventlog.formatter import JSONFormatter
from leandask.historyserver.index import archived, indexing
from leandask.historyserver.index.index import Index, default_path, put_run
from leandask.historyserver.index.indexing import Indexer
from leandask.historyserver.index.places import Place
from leandask.historyserver.index.query import Query, find_run, shown
from tests.helpers.logs import Log, lines, write, write_logs


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def indexer(logs, tmp_path):
    return Indexer(Index(tmp_path / "index" / "runs.sqlite"), [str(logs)])


def runs_of(indexer, **query):
    while indexer.run_once():
        pass
    given = {name: [str(value)] for name, value in query.items()}
    return [run for run in Query(given).run(indexer.index)[0]]


def test_each_scheduler_of_a_log_is_a_run(indexer, logs):
    first = Log("S-1").start(0, oom_kills=0).sample(5, 500)
    second = Log("S-2").start(10, oom_kills=1).sample(15, 100).stop(60, "idle-timeout")
    write_logs(logs / "log.jsonl", first, second)
    two, one = runs_of(indexer)
    assert (two["state"], two["reason"]) == ("stopped", "idle-timeout")
    assert one["state"] == "killed-memory" and "control group" in one["reason"]
    assert one["rss_peak"] == 500 * 2**20 and one["rss_limit"] == 512 * 2**20


def test_counts_go_on_where_they_were(indexer, logs, tmp_path):
    log = Log("S-1").start(0).join(1, "tcp://a:1").join(1, "tcp://b:1")
    path = write_logs(logs / "log.jsonl", log)
    assert runs_of(indexer)[0]["workers_max"] == 2
    log.leave(2, "tcp://a:1", expected=False).join(3, "tcp://c:1")
    log.task(4, "x", "processing", "memory").task(5, "y", "processing", "erred")
    write_logs(path, log)
    again = Indexer(indexer.index, indexer.roots)  # as after a restart
    [run] = runs_of(again)
    assert (run["workers_max"], run["workers_lost"]) == (2, 1)
    assert (run["tasks"], run["erred"]) == (1, 1)
    write_logs(path, log.stop(9))
    assert runs_of(again)[0]["state"] == "stopped"


def test_a_copy_of_a_log_is_a_run_of_its_own(indexer, logs):
    log = Log("S-1").start(0).stop(9)
    write_logs(logs / "a.jsonl", log)
    (logs / "copies").mkdir()
    write_logs(logs / "copies" / "a.jsonl", log)
    ids = {run["id"] for run in runs_of(indexer)}
    assert len(ids) == 2 and "S-1" in ids
    assert {run["id"] for run in runs_of(indexer)} == ids


SUMMARY = {
    "schema_version": 1,
    "scheduler_id": "S-7",
    "name": "etl",
    "labels": {"team": "a", "size": 5},
    "address": "tcp://10.0.0.1:8786",
    "dashboard": "http://10.0.0.1:8787",
    "started": "2026-03-04T05:00:00Z",
    "updated": 1772600500.0,
    "ended": None,
    "reason": None,
    "versions": {"dask": "2026.8.0"},
    "tasks": 12,
    "erred": 1,
    "workers_max": 4,
    "workers_lost": 0,
    "rss_peak": 500,
    "limit": 512,
    "dropped": 0,
    "exceptions": ["ValueError('x')"],
    "prefixes": ["inc"],
    "something new": [1],
}


def test_the_row_of_an_archived_run_comes_from_its_summary(indexer, logs):
    folder = logs / "S-7"
    folder.mkdir()
    (folder / "20260304T050000Z-1.jsonl").write_bytes(b"".join(lines(10, "S-7")))
    (folder / "run.json").write_text(json.dumps(SUMMARY))
    [run] = runs_of(indexer, label="team=a")
    assert run["place"] == str(folder) and run["labels"]["size"] == "5"
    assert (run["tasks"], run["erred"], run["rss_limit"]) == (12, 1, 512)
    assert run["started"] == 1772600400.0 and run["prefixes"] == ["inc"]
    # It has not been heard of for minutes, and was nearly full.
    assert (run["state"], run["ended"]) == ("killed-memory", 1772600500.0)
    now = time.time()
    (folder / "run.json").write_text(json.dumps(SUMMARY | {"updated": now}))
    assert runs_of(indexer)[0]["state"] == "running"
    done = {"updated": now, "ended": now, "reason": "signal-15"}
    (folder / "run.json").write_text(json.dumps(SUMMARY | done))
    assert runs_of(indexer)[0]["state"] == "stopped"
    assert shown(run)["duration"] == 100.0


def test_what_a_summary_lacks_is_not_known():
    place = Place("/x", "", 0, summary="/x/run.json")
    row = archived.row_of({"scheduler_id": "S", "tasks": -5, "labels": [1]}, place)
    assert row["tasks"] is row["name"] is row["started"] is None
    assert row["labels"] == {} and row["state"] == "killed"
    with pytest.raises(ValueError, match="must have the text 'scheduler_id'"):
        archived.row_of({"scheduler_id": None}, place)


def test_what_is_not_printable_is_found(indexer, logs):
    folder = logs / "S"
    folder.mkdir()
    name = "no\xa0break"
    texts = {"scheduler_id": name, "exceptions": [name], "prefixes": [name]}
    summary = SUMMARY | texts | {"labels": {name: name}}
    (folder / "run.json").write_text(json.dumps(summary))
    for query in (
        {"label": name},
        {"label": f"{name}={name}"},
        {"exception": name},
        {"prefix": name},
    ):
        [run] = runs_of(indexer, **query)
    assert run["labels"] == {r"no\xa0break": r"no\xa0break"}
    assert run["scheduler_id"] == name  # by which its records are found


@pytest.mark.parametrize("scheme", ["file:", "file://"])
def test_runs_of_a_url_are_found(tmp_path, logs, scheme):
    pytest.importorskip("fsspec")
    folder = logs / "S-7"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(SUMMARY))
    indexer = Indexer(Index(tmp_path / "i.sqlite"), [f"{scheme}{logs}"])
    [run] = runs_of(indexer)
    assert run["place"] == folder.as_uri()
    for i in range(250):
        (logs / str(i)).mkdir()
        summary = SUMMARY | {"scheduler_id": f"S-{i + 10}"}
        (logs / str(i) / "run.json").write_text(json.dumps(summary))
    assert len(runs_of(indexer, per_page=1000)) == 251
    (folder / "run.json").unlink()
    assert len(runs_of(indexer, per_page=1000)) == 250


def test_the_index_of_a_url_is_the_same_in_all_folders(tmp_path, monkeypatch):
    roots = ["file:/logs", "s3://bucket/dask"]
    path = default_path(roots)
    monkeypatch.chdir(tmp_path)
    assert default_path(roots) == path
    assert default_path(["logs"]) != path == default_path(roots[::-1])


def test_a_root_out_of_reach_keeps_its_runs(indexer, logs, capsys):
    write_logs(logs / "a.jsonl", Log("S-1").start(0).stop(9))
    assert len(runs_of(indexer)) == 1
    logs.rename(logs.with_name("away"))
    assert len(runs_of(indexer)) == 1
    assert len(runs_of(indexer)) == 1
    assert capsys.readouterr().err.count("There is no log") == 1  # it is said once
    logs.with_name("away").rename(logs)
    assert len(runs_of(indexer)) == 1


def test_a_log_that_ends_the_process_is_left_out(indexer, logs, monkeypatch):
    write_logs(logs / "a.jsonl", Log("S-1").start(0).stop(9))
    write_logs(logs / "b.jsonl", Log("S-2").start(0).stop(9).stop(10))

    class Killed(BaseException):
        pass

    def die(runs, lines):
        lines = [*lines]
        if any(b"S-2" in line for line in lines):
            raise Killed
        count(runs, lines)

    count = indexing.count_lines
    monkeypatch.setattr(indexing, "count_lines", die)
    for _ in range(indexing.TRIES):
        with pytest.raises(Killed):
            indexer.run_once()
    assert [run["id"] for run in runs_of(indexer)] == ["S-1"]
    monkeypatch.setattr(indexing, "count_lines", count)
    write_logs(logs / "b.jsonl", Log("S-2").start(0).stop(11))
    assert len(runs_of(indexer)) == 2  # it has changed


def filled(tmp_path, n):
    """An index of made runs."""
    index = Index(tmp_path / "runs.sqlite")
    index.make()
    with index.connected() as db:
        for i in range(n):
            row = {
                "place": f"/logs/{i}.jsonl",
                "scheduler_id": f"Scheduler-{i}",
                "name": f"job {i % 100}",
                "labels": {"team": "abc"[i % 3]},
                "started": 1.7e9 + 60 * i,
                "updated": 1.7e9 + 60 * i + 50,
                "ended": 1.7e9 + 60 * i + 50,
                "state": "killed" if i % 10 == 0 else "stopped",
                "tasks": i,
                "erred": int(i % 7 == 0),
                "exceptions": [f"ValueError({i})"] if i % 7 == 0 else [],
                "prefixes": ["inc", "100%_done"],
            }
            put_run(db, row)
    return index


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ({}, 300),
        ({"q": "job 7"}, 57),
        ({"q": "Scheduler-299"}, 1),
        ({"label": "team=a"}, 100),
        ({"label": "team"}, 300),
        ({"label": "nothing"}, 0),
        ({"state": "killed"}, 30),
        ({"errors": "1", "state": "killed"}, 5),
        ({"exception": "valueerror(7)"}, 1),
        ({"prefix": "0%_d"}, 300),
        ({"prefix": "%"}, 300),
        ({"prefix": "_x"}, 0),
        ({"since": str(1.7e9)}, None),
        ({"since": "2023-11-14T22:15:00Z", "until": "2023-11-14T22:18:00Z"}, 4),
        ({"q": "' OR 1=1 --"}, 0),
    ],
)
def test_a_query_finds_what_matches(tmp_path, query, n):
    index = filled(tmp_path, 300)
    given = {name: [value] for name, value in query.items()}
    if n is None:
        with pytest.raises(ValueError, match="since must be"):
            Query(given)
    else:
        runs, total = Query(given | {"per_page": ["1000"]}).run(index)
        assert total == len(runs) == n


@pytest.mark.parametrize(
    "query",
    [
        *({"sort": "counts"}, {"page": "0"}, {"page": "x"}, {"per_page": "1001"}),
        *({"state": "odd"}, {"until": "noon"}, {"sort": "id; DROP TABLE runs"}),
    ],
)
def test_a_query_that_is_not_valid_is_refused(query):
    with pytest.raises(ValueError, match=f"^{next(iter(query))} must be "):
        Query({name: [value] for name, value in query.items()})


def test_runs_come_in_order_a_page_at_a_time(tmp_path):
    index = filled(tmp_path, 250)
    seen = []
    for page in ("1", "2", "3"):
        given = {"sort": ["-tasks"], "per_page": ["100"], "page": [page]}
        seen += [run["tasks"] for run in Query(given).run(index)[0]]
    assert seen == [*range(249, -1, -1)]


def test_ten_thousand_runs_are_listed_at_once(tmp_path):
    index = filled(tmp_path, 10_000)
    for query in (
        {},
        {"q": ["job 7 stopped"]},
        {"sort": ["-erred"], "label": ["team"]},
    ):
        start = time.thread_time()  # without what other processes take
        Query(query).run(index)
        assert time.thread_time() - start < 1
    assert find_run(index, "Scheduler-77")[0]["tasks"] == 77
    assert find_run(index, "\ud800") is find_run(index, "x" * 10**6) is None


def test_an_index_that_is_locked_is_not_made_again(tmp_path, monkeypatch):
    index = filled(tmp_path, 3)

    def locked(*args, **kwargs):
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr("leandask.historyserver.index.index.sqlite3.connect", locked)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            index.make()
    index.make()
    assert Query({}).run(index)[1] == 3


def test_a_log_of_other_lines_is_no_run(indexer, logs):
    (logs / "worker.log").write_text("2026-03-04 INFO started\n" * 1000)
    (logs / "scheduler.json").write_text('{"id": "S", "address": "tcp://x:1"}')
    encode = JSONFormatter().encode_fields
    write(logs / "x.jsonl", encode(Log("S-1").start(0).records[0]) + b"\n", b"{}\n")
    assert [run["id"] for run in runs_of(indexer)] == ["S-1"]
