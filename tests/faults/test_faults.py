"""Faults of processes: what is lost, and that the scheduler keeps running."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter, defaultdict
from operator import truediv

import pytest
from distributed import Client, Nanny, Scheduler
from distributed.utils_test import gen_test, inc, slowinc

from leandask import LeanScheduler, LogReader, get_report
from tests.helpers.logs import assert_no_gap
from tests.helpers.processes import (
    PYTHON,
    Process,
    records_of,
    start_worker,
    wait_for,
    whole_records,
)
from tests.helpers.schedulers import LOCAL


def test_a_kill_in_a_burst_loses_the_last_interval_only(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, "--log-transitions", wait=False)
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        futures = client.map(inc, range(5_000))
        wait_for(lambda: log.exists() and log.stat().st_size > 500_000)
        killed = time.time()
        scheduler.stop(signal.SIGKILL)
        del futures
    records = whole_records(log)
    assert_no_gap(records)
    last = max(r["timestamp"] for r in records)
    interval = 1.0 + 9.0  # flush interval, and time for a busy machine
    assert last > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(killed - interval))


def test_sigterm_under_load_loses_nothing(start, tmp_path):
    log = tmp_path / "log.jsonl"
    # When the client leaves, all its tasks are released at once: more records than fit
    # in the queue.
    block = {
        "DASK_LEANDASK__STREAM__QUEUE_LENGTH": "5000",
        "DASK_LEANDASK__STREAM__OVERFLOW": "block",
        "DASK_LEANDASK__STREAM__BLOCK_TIMEOUT": "10s",
    }
    flags = "--event-log", log, "--log-transitions"
    scheduler, file = start(*flags, wait=False, **block)
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        futures = client.map(inc, range(5_000))
        wait_for(lambda: log.exists() and log.stat().st_size > 500_000)
        assert scheduler.stop(signal.SIGTERM) == 0
        del futures
    records = records_of(log)
    assert records[-1]["event_name"] == "dask.scheduler.stop"
    assert records[-1]["dropped_total"] == 0
    transitions = [r for r in records if "task_finish" in r]
    assert len(transitions) == records[-1]["transitions_total"]
    assert "-> memory" not in scheduler.stderr  # transitions only go to the event log
    assert_no_gap(records)


def stories_of(records):
    """The states that each task entered, in order."""
    stories = defaultdict(list)
    for r in records:
        if "task_finish" in r:
            stories[r["task_key"]].append(r["task_finish"])
    return stories


def test_a_killed_worker_leaves_the_whole_story_of_its_tasks(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, "--log-transitions", wait=False)
    with (
        start_worker(tmp_path, file, "doomed") as doomed,
        start_worker(tmp_path, file, "other"),
        Client(scheduler_file=str(file)) as client,
    ):
        client.wait_for_workers(2)
        workers = client.scheduler_info()["workers"]
        [address] = [a for a, worker in workers.items() if worker["name"] == "doomed"]
        futures = client.map(slowinc, range(40), delay=0.05)
        wait_for(lambda: client.has_what()[address])
        doomed.stop(signal.SIGKILL)
        assert client.gather(futures) == list(range(1, 41))
        futures.clear()
        wait_for(lambda: get_report(client)["tasks"] == 0)
    assert scheduler.stop() == 0
    records = records_of(log)
    assert_no_gap(records)
    [lost] = [
        json.loads(r["payload"])
        for r in LogReader(log).records(action="remove-worker", level="WARNING")
        if r["topic"] == address
    ]
    # The other worker repeats the tasks that it had finished or was running.
    assert lost["processing-tasks"] and lost["lost-computed-tasks"]
    again = {*lost["processing-tasks"], *lost["lost-computed-tasks"]}
    stories = stories_of(records)
    assert again <= set(stories) and len(stories) == 40
    for key, story in stories.items():
        assert story.count("processing") == (2 if key in again else 1)
        assert story.count("memory") == (2 if key in lost["lost-computed-tasks"] else 1)
        assert story[-1] == "forgotten"


CLIENT = """
import sys, time
from distributed import Client, wait
with Client(scheduler_file=sys.argv[1]) as client:
    futures = client.map(abs, range(100))
    wait(futures)
    client.log_event("ready", client.id)
    time.sleep(600)
"""


def test_the_tasks_of_a_killed_client_are_forgotten_and_no_others(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, "--log-transitions", wait=False)
    with (
        start_worker(tmp_path, file),
        Client(scheduler_file=str(file)) as client,
        Process(tmp_path, "doomed", PYTHON, "-c", CLIENT, file) as doomed,
    ):
        mine = client.submit(inc, 1)
        [(_, doomed_id)] = wait_for(lambda: client.get_events("ready"))
        assert get_report(client)["tasks"] == 101
        doomed.stop(signal.SIGKILL)
        wait_for(lambda: get_report(client)["tasks"] == 1)
        assert mine.result() == 2
        assert client.submit(inc, 2).result() == 3
        assert get_report(client)["clients"] == 1
    assert scheduler.stop() == 0
    records = records_of(log)
    assert_no_gap(records)
    actions = [r["action"] for r in records if r.get("topic") == doomed_id]
    assert (actions[0], actions[-1]) == ("add-client", "remove-client")
    stories = stories_of(records)
    assert len(stories) == 102
    assert {story[-1] for story in stories.values()} == {"forgotten"}


def past_of(s, client):
    """How much a scheduler remembers of the past."""
    return {
        "events": Counter(msg["action"] for _, msg in s.get_events("all")),
        "events of the client": len(s.get_events(client.id)),
        "results": len([t for t in s.transition_log if t.finish == "memory"]),
        "computations": len(s.computations),
        "erred tasks": len(s.erred_tasks),
        "tasks": len(s.tasks),
        "prefixes": len(s.task_prefixes),
        "spans": len(s.extensions["spans"].spans),
    }


async def pasts_around_a_restart(make):
    """The past before a client restarts a scheduler, after it, and after more work."""
    async with make(port=0, **LOCAL) as s, Nanny(s.address, nthreads=1):
        async with Client(s.address, asynchronous=True) as client:

            async def work():
                futures = client.map(inc, range(3), pure=False)
                assert await client.gather(futures) == [1, 2, 3]
                with pytest.raises(ZeroDivisionError):
                    await client.submit(truediv, 1, 0, pure=False)

            await work()
            pasts = [past_of(s, client)]
            await client.restart()
            pasts.append(past_of(s, client))
            await work()
            pasts.append(past_of(s, client))
    return s, pasts


@gen_test(timeout=60)
async def test_a_restart_keeps_as_much_history_as_upstream_and_every_record(collected):
    (_, upstream), (s, lean) = await asyncio.gather(
        pasts_around_a_restart(Scheduler), pasts_around_a_restart(LeanScheduler)
    )
    assert lean == upstream
    assert s.stream.queue.n_dropped == 0
    assert [r.seq for r in collected] == list(range(1, s.stream.queue.emitted + 1))
    assert Counter(
        r.action for r in collected if r.event_name == "dask.event" and r.topic == "all"
    ) >= Counter({"restart-workers": 1, "add-worker": 2, "remove-worker": 1})
