from __future__ import annotations

import logging
import os
import subprocess
import sys

import dask.config
import pytest
from distributed import Client
from distributed.utils_test import gen_test

from tests.helpers.processes import PYTHON, start
from tests.helpers.schedulers import lean

__all__ = ["start"]

PROGRAM = """if True:
    import os, subprocess, sys
    from leandask.cli.allocator import use_configured_allocator
    print(os.getpid(), flush=True)
    use_configured_allocator()
    print(os.getpid(), sys.argv[1:], sys.getallocatedblocks() == 0)
    child = "import sys; print(sys.getallocatedblocks() > 0)"
    print(subprocess.check_output([sys.executable, "-c", child], text=True))
    """


def run(**env):
    command = [sys.executable, "-c", PROGRAM, "a b", "--flag"]
    name = "DASK_LEANDASK__MEMORY__ALLOCATOR"
    given = os.environ | {name: "malloc"} | env
    return subprocess.check_output(command, text=True, env=given).split("\n")


@pytest.mark.parametrize("env", [{}, {"PYTHONMALLOC": ""}])
def test_a_process_starts_once_more_as_itself_and_its_children_as_ever(env):
    first, second, again, children, *_ = run(**env)
    assert first == second
    assert again == f"{first} ['a b', '--flag'] True"
    assert children == "True"


@pytest.mark.parametrize(
    ("env", "is_malloc"),
    [
        ({"DASK_LEANDASK__MEMORY__ALLOCATOR": "python"}, False),
        ({"PYTHONMALLOC": "pymalloc"}, False),
        ({"PYTHONMALLOC": "malloc"}, True),
    ],
)
def test_a_process_is_left_as_it_was_started(env, is_malloc):
    first, again, *_ = run(**env)
    assert again == f"{first} ['a b', '--flag'] {is_malloc}"


def test_the_command_runs_with_the_allocator_and_its_preloads(start, tmp_path):
    (tmp_path / "mine.py").write_text("def dask_setup(s): s.mine = 1")
    scheduler, file = start(
        "--preload=mine.py",
        command=[PYTHON, "-m", "leandask.cli.start"],
        DASK_LEANDASK__MEMORY__ALLOCATOR="malloc",
    )
    with Client(scheduler_file=str(file)) as client:
        found = client.run_on_scheduler(
            lambda dask_scheduler: (
                __import__("os").getpid(),
                __import__("sys").getallocatedblocks(),
                dask_scheduler.mine,
            )
        )
    assert found == (scheduler.popen.pid, 0, 1)
    assert scheduler.stop() == 0
    assert "is ignored" not in scheduler.stderr


@gen_test()
async def test_elsewhere_a_line_says_that_it_is_ignored(caplog):
    caplog.set_level(logging.WARNING, "leandask")
    for allocator, n_lines in (("python", 0), ("malloc", 1)):
        with dask.config.set({"leandask.memory.allocator": allocator}):
            async with lean():
                pass
        lines = [r for r in caplog.messages if "leandask.memory.allocator" in r]
        assert len(lines) == n_lines
