"""A run of millions of tasks: its pages take bounded memory, and show in a browser."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from benchmarks.historyserver import Server, write_run
from tests.helpers.browser import console
from tests.helpers.processes import wait_for

TASKS = 5_000_000
#: One record in ten thousand is a sample.
RUNS = TASKS - TASKS // 10_000
PARTS = {
    "overview": "/api/v1/runs/large/overview",
    "tasks": "/api/v1/runs/large/tasks",
    "timeline": "/runs/large/timeline",
    "report": "/runs/large/report",
}


@pytest.fixture(scope="module")
def server():
    """A server of the run, whose log takes 3.2 GB."""
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder, "logs")
        logs.mkdir()
        write_run(logs / "log.jsonl", "large", TASKS)
        patient = ("--page-timeout", "1 h")  # a timeline takes minutes
        server = Server(logs, Path(folder, "index.sqlite"), *patient)
        try:
            server.wait_for_runs(1)
            yield server
        finally:
            server.close()


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_pages_of_five_million_runs_of_tasks_take_bounded_memory(server, capsys):
    for part, path in PARTS.items():
        cost = server.watch_worker(path)
        with capsys.disabled():
            print(f"{part}: {cost}")
        assert 0 < cost.rss < 330  # 300 MiB of data, and the interpreter
        assert cost.megabytes < 8
    rows = json.loads(server.get(PARTS["tasks"])[1])["tasks"]
    assert sum(row["count"] for row in rows) == RUNS
    assert server.rss < 150


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("view", ["timeline", "report"])
def test_a_browser_shows_five_million_runs_of_tasks(server, browser, view):
    server.get(PARTS[view])  # it is made, if no test has asked for it before
    browser.get(f"{server.url}/runs/large?view={view}")
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))

    def is_painted():
        [canvas] = browser.find_elements("css selector", "#stream canvas")
        return canvas.get_attribute("data-ready")

    wait_for(is_painted)
    assert f"{RUNS:,}" in browser.find_element("tag name", "body").text
    browser.switch_to.default_content()
    assert console(browser) == []
