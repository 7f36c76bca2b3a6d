"""The lock of the index: one process writes it, also if the lock was removed."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from leandask.historyserver.index.index import Index
from leandask.historyserver.index.indexing import Indexer
from leandask.historyserver.index.process import end_unless_held, is_held, lock
from leandask.historyserver.index.query import Query
from tests.helpers.historyserver import Server
from tests.helpers.logs import Log, append_logs, write_logs
from tests.helpers.processes import wait_for


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def log_of(n):
    """A log of so many runs of tasks."""
    log = Log("S-1").start(0)
    for i in range(n):
        log.task(i + 1, f"x-{i}", "processing", "memory")
    return log


def test_who_lost_the_lock_writes_nothing(logs, tmp_path, monkeypatch):
    path = tmp_path / "runs.sqlite"
    index = Index(path)

    def tasks():
        [run] = Query({}).run(index)[0]
        return run["tasks"]

    write_logs(logs / "a.jsonl", log_of(10))
    with lock(path) as file:
        check = partial(end_unless_held, path, file)
        first = Indexer(index, [str(logs)], check)
        first.run_once()
        write_logs(logs / "a.jsonl", log_of(20))

        def forget(db, gone):  # in the middle of a round
            os.unlink(f"{path}.lock")
            with lock(path, wait=False) as other:
                check = partial(end_unless_held, path, other)
                Indexer(index, [str(logs)], check).run_once()
            assert tasks() == 20

        monkeypatch.setattr(first, "_forget", forget)
        with pytest.raises(SystemExit, match="lock was removed; the indexer starts"):
            first.run_once()
    write_logs(logs / "a.jsonl", log_of(30))
    Indexer(index, [str(logs)]).run_once()
    assert tasks() == 30


def test_a_lock_that_was_removed_while_it_was_waited_for_is_none(tmp_path, monkeypatch):
    path = tmp_path / "runs.sqlite"
    removed = []

    def flock(file, how):
        if not removed:
            removed.append(os.unlink(f"{path}.lock"))

    monkeypatch.setattr("fcntl.flock", flock)
    with lock(path) as file:
        assert removed and is_held(path, file)


def test_servers_count_once_though_the_lock_was_removed(logs, tmp_path):
    log = logs / "a.jsonl"
    write_logs(log, log_of(10))
    with Server(tmp_path, str(logs), name="first") as first:
        first.wait_for_runs(1)
        lock_file = Path(f"{first.index}.lock")
        lock_file.unlink()
        with Server(tmp_path, str(logs), f"--index={first.index}") as second:
            wait_for(lambda: "lock was removed; the indexer starts" in first.stderr)
            append_logs(log, log_of(20))
            wait_for(lambda: second.runs()[0]["tasks"] == 20)
        # The first one has its turn now.
        append_logs(log, log_of(30))
        wait_for(lambda: first.runs()[0]["tasks"] == 30)
        assert "Traceback" not in first.stderr + second.stderr
