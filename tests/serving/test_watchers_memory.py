"""Memory of a scheduler's process whose tasks a client watched."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributed import Client, get_task_stream, wait

from leandask.housekeeping.process import TRIM_SECONDS, trim_heap
from tests.helpers.processes import start_worker, wait_for

MIB = 2**20
TASKS, BATCH = 20_000, 1000


def rss_of(process):
    """Bytes of memory that a process holds."""
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def divide(x):
    return 1 / (x % 500)  # some tasks err


def run(client):
    for _ in range(TASKS // BATCH):
        wait(client.map(divide, range(BATCH), pure=False))


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_memory_goes_back_when_a_window_is_closed(start, tmp_path):
    scheduler, file = start()
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        client.wait_for_workers(1)
        with get_task_stream(client=client):
            pass
        run(client)
        client.run_on_scheduler(trim_heap)
        before = rss_of(scheduler)
        for _ in range(3):
            with get_task_stream(client=client) as tasks:
                run(client)
            assert len(tasks.data) == TASKS
            # Housekeeping trims the heap.
            wait_for(
                lambda: rss_of(scheduler) <= before + MIB, timeout=3 * TRIM_SECONDS
            )
