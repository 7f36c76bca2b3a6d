"""The figures of a run's page: those of its records, however its log is read."""

from __future__ import annotations

import threading

import pytest

from leandask.historyserver.runpage.overview import Overview
from leandask.historyserver.runpage.tables import tables_of
from leandask.reading import runs
from leandask.reading.reader import LogReader
from leandask.reading.runs import RunStats
from leandask.records.schema import RUNS
from tests.helpers.logs import Log, write_logs
from tests.helpers.processes import wait_for


def long_log(scheduler_id, begin):
    """A log of all kinds of records, of several of the blocks that are read at once."""
    log = Log(scheduler_id).start(begin)
    for i in range(begin, begin + 300):
        log.join(i, f"tcp://10.0.0.{i % 7}:4000")
        for key in (f"x-{i}", f"y-{i}"):
            log.task(i, key, "waiting", "processing", "memory")
            phases = {"transfer_seconds": 0.001 * (i % 5), "nbytes": i}
            log.ran(i, key, 0.01 * (i % 40), i % 7, **phases)
        if i % 10 == 0:
            log.sample(i, 100 + i - begin).ran(i, f"z-{i}", 0.5, i % 7, error="bad")
        log.leave(i, f"tcp://10.0.0.{i % 7}:4000", expected=i % 50 > 0)
    return log.pressure(begin + 300, 500, "y").stop(begin + 301)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    two = long_log("Scheduler-1", 0), long_log("Scheduler-2", 1000)
    path = write_logs(folder / "log.jsonl", *two)
    assert path.stat().st_size > 2**21
    return path, two


def test_lines_that_are_not_decoded_count_the_same(logs):
    path, two = logs
    for log in two:
        decoded = Overview(log.id)
        for record in log.records:
            decoded.add(record)
        found = Overview(log.id).read(LogReader(path))
        assert found["curves"] == decoded.curves.as_dict()
        assert sum(found["curves"]["counts"]["finished"]) == 600
        assert sum(found["curves"]["counts"]["erred"]) == 30
        assert (found["records"], found["wrong"]) == (len(log.records), 0)
        assert (found["workers_joined"], found["workers_lost"]) == (300, 6)
        assert found["n_pressures"] == 1 and found["stop"]["reason"]


def test_tables_are_those_of_each_run(logs, monkeypatch):
    path, two = logs
    for log in two:
        found = tables_of(LogReader(path), log.id)
        monkeypatch.setattr(runs, "TOGETHER", 1)
        stats = RunStats()
        for record in log.records:
            if record["event_name"] in RUNS:
                stats.add(record)
        monkeypatch.undo()
        expected = stats.as_dict()
        assert found["errors"] == expected["errors"]
        assert {row["prefix"]: row for row in found["tasks"]} == {
            name: {"prefix": name, **of} for name, of in expected["prefixes"].items()
        }
        assert expected["prefixes"]["x"]["compute_seconds"]["p50"] == pytest.approx(
            0.18, rel=0.03
        )
        stays = {row["address"]: row for row in found["workers"]}
        for address, figures in expected["workers"].items():
            assert stays[address].items() >= figures.items()
            assert stays[address]["joined"]


def test_progress_is_told_while_a_log_is_read(serve, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    log = Log("S-1").start(0)
    for i in range(100_000):
        log.event(i, "all", "x")
    write_logs(folder / "log.jsonl", log)
    with serve(folder) as server:
        server.wait_for_runs(1)
        path = "/runs/S-1/progress?part=overview"
        assert server.ask(path) == {"percent": None}
        reader = threading.Thread(target=server.ask, args=("/runs/S-1/overview",))
        reader.start()
        wait_for(lambda: 0 < (server.ask(path)["percent"] or 0) < 100)
        reader.join()
        assert server.ask(path) == {"percent": None}
        assert server.get("/api/v1/runs/S-1/progress?part=x")[0] == 400
