"""Faults of workers: what they said last is in the event log of the scheduler."""

from __future__ import annotations

import dask
from distributed import Client, Scheduler
from distributed.utils_test import gen_test

from leandask import LogReader, install
from leandask.records.schema import SUSPECTS, WORKER_LOG
from tests.helpers.processes import DASK, Process
from tests.helpers.schedulers import LOCAL, until

#: Makes every process that has it on its path unable to import leandask.
WITHOUT_LEANDASK = "import sys; sys.modules['leandask'] = None"
#: Settings of the memory of two workers, each with a nanny in one process.
MEMORY = {
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "false",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "false",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "0.6",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "0.9",
}
LIMIT = 300 * 2**20
TWO = ("--nworkers=2", "--nthreads=1", f"--memory-limit={LIMIT}", "--no-dashboard")


async def have_plugin(c, nanny):
    """Whether all workers, or nannies, have our plugin. None of them has leandask."""

    def look(dask_worker):
        return __import__("sys").modules["leandask"], [*dask_worker.plugins]

    found = (await c.run(look, nanny=nanny)).values()
    assert {module for module, _ in found} == {None}
    return all(WORKER_LOG in plugins for _, plugins in found)


def make_hog():
    """A task that fills its worker until that pauses, waits for a file, and goes on."""

    def hog(until_paused, go):  # it is pickled by value
        import os
        import time

        import psutil

        rss, held = psutil.Process().memory_info, []
        while True:
            while rss().rss > until_paused and not os.path.exists(go):
                time.sleep(0.01)
            held.append(b"x" * 10**7)
            time.sleep(0.05)

    return hog


@gen_test(timeout=120)
async def test_last_words_of_a_worker_killed_for_memory_are_beside_its_end(tmp_path):
    log = tmp_path / "log.jsonl"
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LEANDASK)
    path = {"PYTHONPATH": str(tmp_path)}
    async with Scheduler(allowed_failures=0, **LOCAL) as s:
        command = DASK, "worker", s.address, *TWO
        with Process(tmp_path, "nannies", *command, **MEMORY | path):
            async with Client(s.address, asynchronous=True) as c:
                await c.wait_for_workers(2)
                with dask.config.set({"leandask.event-log.path": str(log)}):
                    install(s)  # while they are connected
                for nanny in (False, True):
                    while not await have_plugin(c, nanny):
                        pass
                go = tmp_path / "go"
                hog = c.submit(make_hog(), 0.75 * LIMIT, str(go), key="hog-1")
                await until(lambda: "Worker is at" in str(s.get_events(WORKER_LOG)))
                go.touch()
                assert "hog-1" in str(await hog.exception())
                [(_, given_up)] = s.get_events(SUSPECTS)
                # Its nanny has no more to say.
                await until(lambda: "Restarting w" in str(s.get_events(WORKER_LOG)))
        await until(lambda: not s.workers)
    worker = given_up["worker"]
    assert given_up["key"] == "hog-1" and given_up["workers-lost"] == [worker]
    found = list(LogReader(log).records(level="WARNING", worker=worker))
    messages = [r["message"] for r in found]
    assert "distributed.worker.memory - Worker is at" in messages[0]
    # Both nannies of the process have sent it.
    [killed] = [m for m in messages if "distributed.nanny.memory" in m]
    assert f"Worker {worker} (pid=" in killed
    assert {"remove-worker", "task-given-up"} == {r.get("action") for r in found} - {
        None
    }
