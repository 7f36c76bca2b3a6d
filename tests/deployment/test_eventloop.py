"""leandask-scheduler on uvloop."""

from __future__ import annotations

import asyncio

import pytest
from distributed import Client

from tests.helpers.processes import start_worker

pytest.importorskip("uvloop")


@pytest.mark.parametrize("configured", [None, "tornado", "uvloop"])
def test_uvloop_is_used_unless_an_event_loop_is_configured(start, tmp_path, configured):
    def current_loop():  # pickled by value, as the scheduler has no tests
        return type(asyncio.get_running_loop()).__module__.partition(".")[0]

    env = {"DASK_DISTRIBUTED__ADMIN__EVENT_LOOP": configured} if configured else {}
    scheduler, file = start(**env)
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        loop = client.run_on_scheduler(current_loop)
        assert client.submit(pow, 2, 3).result() == 8
    assert scheduler.stop() == 0
    assert ("Event loop: uvloop" in scheduler.stderr) == (configured is None)
    assert (loop == "uvloop") == (configured != "tornado")
