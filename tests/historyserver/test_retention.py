"""Which logs are removed, if the user asks for it."""

from __future__ import annotations

import json
import os
import time

import pytest
from click.testing import CliRunner

from leandask.cli.main import main
from leandask.eventlog.filelock import is_alone
from leandask.historyserver.index import retention
from leandask.historyserver.index.index import Index
from leandask.historyserver.index.indexing import Indexer
from leandask.historyserver.index.process import lock
from leandask.historyserver.index.retention import Keep, find_old, remove
from leandask.records.times import rfc3339
from tests.helpers.logs import T0, Log, write_logs
from tests.helpers.processes import wait_for

#: Seconds from the first run of the logs until now.
AGE = time.time() - T0


@pytest.fixture
def logs(tmp_path):
    """Five logs of a run each, a day apart; the last one still runs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for i in range(4):
        log = Log(f"S-{i}").start(86_400 * i).stop(86_400 * i + 60)
        write_logs(folder / f"{i}.jsonl", log)
        write_logs(folder / f"{i}.jsonl.1", Log(f"S-{i}").start(86_400 * i))
    now = AGE - 3600
    running = Log("S-4").start(now).sample(now, 100).add(now, "x")
    write_logs(folder / "4.jsonl", running)
    (folder / "notes.txt").write_text("mine")
    make_old(folder, but="4.jsonl")
    return folder


def make_old(folder, but=""):
    then = time.time() - 600
    for path in folder.rglob("*"):
        if path.is_file() and path.name != but:
            os.utime(path, (then, then))


def index_of(tmp_path, *roots):
    index = Index(tmp_path / "index.sqlite")
    while Indexer(index, [*map(str, roots)]).run_once():
        pass
    return index


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        (Keep(), set()),
        (Keep(seconds=AGE - 43_200), {"0"}),
        (Keep(seconds=AGE - 2.5 * 86_400), {"0", "1", "2"}),
        (Keep(seconds=0), {"0", "1", "2", "3"}),
        (Keep(runs=3), {"0", "1"}),
        (Keep(runs=0), {"0", "1", "2", "3"}),
        (Keep(nbytes=1500), {"0", "1", "2"}),
        (Keep(seconds=AGE - 43_200, runs=3), {"0", "1"}),
    ],
)
def test_what_is_not_kept_is_found(logs, tmp_path, keep, gone):
    index = index_of(tmp_path, logs)
    found = {os.path.basename(old.path)[0] for old in find_old(index, keep)}
    assert found == gone


def test_a_log_is_removed_with_all_of_its_files_and_no_other(logs, tmp_path):
    index = index_of(tmp_path, logs)
    for old in find_old(index, Keep(runs=2)):
        remove(old)
    names = {"3.jsonl", "3.jsonl.1", "4.jsonl", "notes.txt"}
    assert {path.name for path in logs.iterdir()} == names


@pytest.mark.parametrize("is_url", [False, True])
def test_a_log_that_has_changed_meanwhile_stays(logs, tmp_path, is_url):
    index = index_of(tmp_path, logs.as_uri() if is_url else logs)
    os.utime(logs / "0.jsonl")
    for old in find_old(index, Keep(runs=0)):
        remove(old)
    assert (logs / "0.jsonl").exists() and not (logs / "1.jsonl").exists()


def archived(folder, scheduler_id, seconds):
    folder.mkdir()
    ended = rfc3339(T0 + seconds)
    summary = {"scheduler_id": scheduler_id, "started": ended, "ended": ended}
    (folder / "run.json").write_text(json.dumps(summary))
    write_logs(folder / "20260304T050000Z-1.jsonl", Log(scheduler_id).start(0))


@pytest.mark.parametrize("is_url", [False, True])
def test_an_archived_run_is_removed(tmp_path, is_url):
    root = tmp_path / "archive"
    root.mkdir()
    for i in range(3):
        archived(root / f"S-{i}", f"S-{i}", 86_400 * i)
    (root / "S-1" / "mine.txt").write_text("mine")
    make_old(root)
    index = index_of(tmp_path, root.as_uri() if is_url else root)
    for old in find_old(index, Keep(runs=1)):
        remove(old)
    left = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    kept = {"S-2/run.json", "S-2/20260304T050000Z-1.jsonl", "S-1/mine.txt"}
    assert left == kept


def test_an_archive_in_which_a_scheduler_writes_stays(tmp_path):
    archived(tmp_path / "S-1", "S-1", 0)
    with (tmp_path / "S-1" / "other.jsonl").open("wb") as file:
        is_alone(file.fileno())  # as each sink does
        make_old(tmp_path)
        index = index_of(tmp_path, tmp_path / "S-1")
        [old] = find_old(index, Keep(runs=0))
        remove(old)
        assert len([*(tmp_path / "S-1").iterdir()]) == 3


def test_the_command_shows_what_it_would_remove(logs, tmp_path):
    index = ("--index", str(tmp_path / "i.sqlite"))
    command = ["history", str(logs), *index, "--keep-runs", "3", "--dry-run"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0
    assert done.output.splitlines()[0].startswith(f"{logs}/1.jsonl: 1 run, ended 2026-")
    assert "2 runs would be removed" in done.output
    assert len([*logs.iterdir()]) == 10


def test_the_command_does_not_write_the_index_of_a_server(logs, tmp_path):
    path = tmp_path / "index.sqlite"
    index_of(tmp_path, logs)
    write_logs(logs / "new.jsonl", Log("S-9").start(0).stop(60))
    command = ["history", str(logs), f"--index={path}", "--keep-runs=0", "--dry-run"]
    with lock(path):
        shown = CliRunner().invoke(main, command).output
    assert "4 runs would be removed" in shown
    assert "5 runs would be removed" in CliRunner().invoke(main, command).output


def test_the_server_removes_what_is_not_kept(serve, logs):
    with serve(logs, "--keep", "1h") as server:
        wait_for(lambda: len([*logs.iterdir()]) == 2)
        assert [*server.wait_for_runs(1)] == ["S-4"]


def test_a_file_that_can_not_be_removed_is_said(logs, tmp_path, monkeypatch):
    index = index_of(tmp_path, logs)

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(retention.os, "unlink", refuse)
    [old, *_] = find_old(index, Keep(runs=0))
    with pytest.raises(OSError, match="Permission denied"):
        remove(old)
