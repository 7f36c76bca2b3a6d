"""Runs that go on: their logs are looked at between two looks at all logs."""

from __future__ import annotations

import pytest

from leandask.historyserver.index.index import Index
from leandask.historyserver.index.indexing import Indexer
from leandask.historyserver.index.query import Query
from tests.helpers.logs import Log, write, write_logs


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    write_logs(folder / "ended.jsonl", Log("ended").start(0).stop(1))
    return folder


@pytest.fixture
def indexer(logs, tmp_path):
    return Indexer(Index(tmp_path / "runs.sqlite"), [str(logs)])


def tasks_of(indexer):
    return {run["id"]: run["tasks"] for run in Query({}).run(indexer.index)[0]}


def test_a_run_that_goes_on_is_seen_alone(indexer, logs):
    log = Log("live").start(0)
    write_logs(logs / "live.jsonl", log)
    assert not indexer.run_once()
    write_logs(logs / "live.jsonl", log.task(1, "x", "processing", "memory"))
    write_logs(logs / "new.jsonl", Log("new").start(0))
    assert not indexer.follow()
    assert tasks_of(indexer) == {"ended": 0, "live": 1}
    write_logs(logs / "live.jsonl", log.task(2, "y", "processing", "memory"))
    assert not indexer.follow()
    assert tasks_of(indexer) == {"ended": 0, "live": 2}
    indexer.run_once()
    assert tasks_of(indexer) == {"ended": 0, "live": 2, "new": 0}


def test_a_log_that_was_rotated_waits_until_all_are_looked_at(indexer, logs):
    log = Log("live").start(0)
    write_logs(logs / "live.jsonl", log)
    indexer.run_once()
    log.task(1, "x", "processing", "memory")
    write_logs(logs / "live.jsonl", log)
    (logs / "live.jsonl").rename(logs / "live.jsonl.1")
    write(logs / "live.jsonl")
    assert not indexer.follow()
    assert tasks_of(indexer)["live"] == 0
    indexer.run_once()
    assert tasks_of(indexer)["live"] == 1


def test_a_log_that_was_removed_is_followed_no_more(indexer, logs):
    write_logs(logs / "live.jsonl", Log("live").start(0))
    indexer.run_once()
    (logs / "live.jsonl").unlink()
    assert not indexer.follow()
    assert "live" in tasks_of(indexer)
    indexer.run_once()
    assert "live" not in tasks_of(indexer)
