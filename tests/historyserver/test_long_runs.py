"""A run of millions of tasks: its pages take bounded memory."""

from __future__ import annotations

import json

import pytest

from benchmarks.historyserver import Server, write_run

TASKS = 5_000_000


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_pages_of_five_million_runs_of_tasks_take_bounded_memory(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    write_run(tmp_path / "logs" / "log.jsonl", "large", TASKS)
    patient = (
        "--page-timeout",
        "1 h",
    )  # a timeline takes minutes
    server = Server(tmp_path / "logs", tmp_path / "index.sqlite", *patient)
    try:
        server.wait_for_runs(1)
        for part in ("overview", "tasks", "timeline"):
            path = "/runs/large/timeline" if part == "timeline" else ""
            took, rss = server.watch_worker(path or f"/api/v1/runs/large/{part}")
            with capsys.disabled():
                print(f"{part}: {took:.0f} s, {rss:.0f} MiB")
            assert 0 < rss < 330  # 300 MiB of data, and the interpreter
        rows = json.loads(server.get("/api/v1/runs/large/tasks")[1])["tasks"]
        assert sum(row["count"] for row in rows) == TASKS - TASKS // 10_000
        assert server.rss < 150
    finally:
        server.close()
