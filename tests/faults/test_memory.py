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

import leandask
from leandask.records.schema import GRAPH_REFUSED
from leandask.settings.memorylimit import cgroup_folders
from tests.helpers.processes import COMMAND, start_worker, wait_for, whole_records

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
        refused = wait_for(lambda: [r for r in whole_records(log) if is_third(r)])
    assert refused[0]["severity"] == "WARNING"
    assert str(group) in scheduler.stderr  # what sets the limit


def leave_room(client, mib):
    """Set the limit so that graphs have so much room; return it in bytes."""
    warm = client.submit(inc, -1)  # it imports modules
    wait_for(lambda: leandask.get_report(client)["tasks"])
    del warm
    wait_for(lambda: not leandask.get_report(client)["tasks"])
    rss = leandask.get_report(client)["memory"]["rss"]
    return leandask.set_memory(client, limit=int((rss + mib * MIB) / 0.9))["limit"]


def test_of_many_clients_that_do_not_all_fit_some_are_refused_and_none_is_lost(start):
    n_clients, n_tasks = 20, 5000
    _, file = start()
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Client(scheduler_file=str(file)))
            for _ in range(n_clients)
        ]
        limit = leave_room(clients[0], 50)
        sent = [
            client.map(inc, range(n * n_tasks, (n + 1) * n_tasks))
            for n, client in enumerate(clients)
        ]

        def count():
            report = leandask.get_report(clients[0])
            held, n_refused = report["tasks"], report["guard"]["refused"]
            return (report, n_refused) if held + n_refused * n_tasks >= total else None

        total = n_clients * n_tasks
        report, n_refused = wait_for(count)
        assert 0 < n_refused < n_clients
        assert report["tasks"] == total - n_refused * n_tasks
        assert report["memory"]["rss_peak"] < limit
        wait_for(
            lambda: (
                [{future.status for future in futures} for futures in sent].count(
                    {"error"}
                )
                == n_refused
            )
        )


def test_tasks_that_are_submitted_one_by_one_are_taken_up_to_the_limit(start):
    _, file = start()
    with Client(scheduler_file=str(file)) as client:
        # What a scheduler makes once, for its first tasks, must not take the room.
        first = client.map(inc, range(-1000, 0))
        wait_for(lambda: leandask.get_report(client)["tasks"] == 1000)
        del first
        wait_for(lambda: leandask.get_report(client)["tasks"] == 0)
        limit = leave_room(client, 3)
        futures = []
        while len(futures) < 50_000:
            futures.append(client.submit(inc, len(futures)))
            if len(futures) % 500 == 0:
                report = leandask.get_report(client)
                if report["guard"]["refused"]:
                    break
        assert report["tasks"] > 500
        assert report["memory"]["rss"] < limit
        refused = wait_for(lambda: [f for f in futures if f.status == "error"])
        assert futures[0].status == "pending"
        with pytest.raises(MemoryError, match="refused a graph of 1 task"):
            refused[0].result()
