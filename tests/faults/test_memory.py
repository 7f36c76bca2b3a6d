"""A scheduler in a control group with a memory limit outlives a larger graph."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path

import dask.array as da
import pytest
from distributed import Client
from distributed.utils_test import inc

from leandask.records.schema import GRAPH_REFUSED
from leandask.settings.memorylimit import cgroup_folders
from tests.helpers.processes import COMMAND, records_of, start_worker, wait_for

MIB = 2**20


def is_removed(folder):
    """Remove a control group; the kernel refuses until its last process has ended."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


@pytest.fixture
def group():
    """A control group with a limit of 200 MiB, or a reason to skip the test."""
    for parent in cgroup_folders():
        folder = parent / f"leandask-test-{os.getpid()}"
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                folder.mkdir(exist_ok=True)
                (folder / name).write_text(str(200 * MIB))
            except OSError:
                is_removed(folder)
                continue
            yield folder
            wait_for(partial(is_removed, folder))
            return
    pytest.skip("this user may make no control group with a limit")


def is_third(record):
    return record["event_name"] == GRAPH_REFUSED and record["refused_total"] == 3


@pytest.mark.filterwarnings("ignore:Sending large graph")
def test_a_graph_that_is_too_large_is_refused_and_the_other_client_goes_on(
    group, start, tmp_path
):
    log = tmp_path / "log.jsonl"
    join = f'echo $$ > {group}/cgroup.procs && exec {COMMAND} "$@"'
    scheduler, file = start("--event-log", log, command=("sh", "-c", join, "sh"))
    status = Path(f"/proc/{scheduler.popen.pid}/status")
    with (
        start_worker(tmp_path, file),
        Client(scheduler_file=str(file)) as other,
        Client(scheduler_file=str(file), set_as_default=False) as client,
    ):
        total = da.ones(1_000_000, chunks=1).sum(split_every=8)
        for _ in range(3):
            future = client.compute(total, optimize_graph=False)
            while future.status != "error":
                assert other.submit(inc, 1, pure=False).result(timeout=60) == 2
            error = future.exception()
            assert type(error) is MemoryError
            assert "limit of 200.00 MiB" in str(error)
            del future
        peak = int(status.read_text().partition("VmHWM:")[2].split()[0])
        assert peak < 200 * 1024
        assert scheduler.popen.poll() is None
        refused = wait_for(lambda: [r for r in records_of(log) if is_third(r)])
    assert refused[0]["severity"] == "WARNING"
    assert str(group) in scheduler.stderr  # what sets the limit
