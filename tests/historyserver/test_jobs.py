"""The processes that make pages."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import psutil

from leandask.historyserver.runpage import jobs as module
from leandask.historyserver.runpage.jobs import Jobs, Question

#: A process that notes its id, and writes its answer when it may.
WAITS = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
with folder.joinpath("started").open("a") as file:
    file.write(f"{os.getpid()}\\n")
while not folder.joinpath("go").exists():
    time.sleep(0.01)
pathlib.Path(json.loads(sys.argv[2])["output"]).write_text("made")
"""


async def until(condition):
    """Wait for a condition, while the loop goes on."""

    async def wait():
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), 60)


def test_readers_share_a_page_also_while_that_of_one_who_left_ends(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_WORKER", (sys.executable, "-c", WAITS, tmp_path))
    question = Question("overview", "log.jsonl", "Scheduler-1", "1", 0, {})
    started = tmp_path / "started"

    def pids():
        return [*map(int, started.read_text().split())] if started.exists() else []

    async def read():
        jobs = Jobs(tmp_path / "answers")
        leaving = asyncio.create_task(jobs.answer(question))
        await until(lambda: len(pids()) == 1)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        second = asyncio.create_task(jobs.answer(question))
        await until(lambda: len(pids()) == 2 and not psutil.pid_exists(pids()[0]))
        third = asyncio.create_task(jobs.answer(question))
        for _ in range(10):  # so that it has begun
            await asyncio.sleep(0)
        assert jobs.percent(question) == 0  # it is being made
        (tmp_path / "go").touch()
        return await asyncio.gather(second, third)

    one, other = asyncio.run(read())
    assert one == other and one.read_text() == "made"
    assert len(pids()) == 2
