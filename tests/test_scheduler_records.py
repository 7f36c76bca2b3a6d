"""A scheduler's events leave as records, and reach the event log."""

from __future__ import annotations

import json
from functools import partial

import dask
import pytest
from distributed import (
    Client,
    Scheduler,
    Worker,
)
from distributed.utils_test import gen_test, inc

from leandask import install
from tests.helpers.schedulers import LOCAL, lean, until

connect = partial(Client, asynchronous=True)


class Events:
    """The LogRecords of events in a list of LogRecords."""

    def __init__(self, collected):
        self.collected = collected

    def __iter__(self):
        return (r for r in self.collected if r.event_name == "dask.event")

    def __len__(self):
        return sum(1 for _ in self)


@pytest.fixture
def events(collected):
    return Events(collected)


@gen_test()
async def test_every_event_leaves_as_one_record(events):
    async with lean() as s, Worker(s.address) as w, connect(s.address) as c:
        await c.log_event(["mine", "yours"], {"action": "greet", "n": 1})
        await c.submit(inc, 1)
        published = sum(t.count for t in s._broker.topics.values())
        (timestamp, _), *_ = s.get_events("mine")
        worker, client, scheduler_id = w.address, c.id, s.id
    assert len(events) >= published
    assert s.stream.stats()["written"] == len(events) + 2  # its start and its end
    assert [r.seq for r in events] == list(range(2, len(events) + 2))

    mine, yours = [r for r in events if r.action == "greet"]
    assert (mine.topic, yours.topic) == ("mine", "yours")
    assert mine.created == yours.created == timestamp
    assert mine.getMessage() == "mine: greet n=1"
    assert json.loads(mine.payload) == {"action": "greet", "n": 1}
    assert (mine.event_name, mine.schema_version) == ("dask.event", 1)
    assert (mine.scheduler_id, mine.levelname) == (scheduler_id, "INFO")

    assert {r.worker for r in events if r.action == "add-worker"} == {worker}
    assert {r.client for r in events if r.action == "add-client"} == {client}


@gen_test()
async def test_a_lost_worker_is_a_warning(events):
    async with lean() as s:
        w = await Worker(s.address)
        await w.close()
        await until(lambda: not s.workers)
        async with Worker(s.address) as w:
            await s.retire_workers([w.address])
    removed = [r for r in events if r.action == "remove-worker" and r.topic == "all"]
    assert [r.levelname for r in removed] == ["WARNING", "INFO"]


@pytest.mark.parametrize("is_installed", [False, True])
@gen_test()
async def test_no_worker_of_a_scheduler_that_stops_is_lost(events, is_installed):
    s = await (Scheduler(**LOCAL) if is_installed else lean())
    if is_installed:
        install(s)
    async with Worker(s.address), Worker(s.address):
        await s.close()
    removed = [r for r in events if r.action == "remove-worker" and r.topic == "all"]
    assert [r.levelname for r in removed] == ["INFO", "INFO"]


@gen_test()
async def test_a_msg_is_recorded_as_it_was_when_it_was_logged(events):
    async with lean() as s:
        msg = {"action": "x", "items": [1]}
        s.log_event("mine", msg)
        msg["items"].append(2)
        assert s.get_events("mine")[0][1] == {"action": "x", "items": [1]}
    [record] = [r for r in events if r.topic == "mine"]
    assert json.loads(record.payload)["items"] == [1]


@gen_test()
async def test_install_makes_a_running_scheduler_lean(events):
    s = await Scheduler(**LOCAL)
    async with Worker(s.address) as a, connect(s.address) as c:
        futures = c.map(inc, range(200))
        await c.gather(futures)
        transitions = list(s.transition_log)[-100:]
        logs = await c.get_scheduler_logs()
        install(s)
        install(s)
        assert list(s.transition_log) == transitions
        assert await c.get_scheduler_logs() == logs
        for stream in [*s.stream_comms.values(), *s.client_comms.values()]:
            assert stream.recent_message_log.maxlen == 0
        async with Worker(s.address) as b:
            assert s.stream_comms[b.address].recent_message_log.maxlen == 0
            assert await c.submit(inc, 1, workers=[b.address]) == 2
        assert a.address in s.workers
        client_id = c.id
    await s.close()
    await until(lambda: s.stream.stats()["written"] == s.stream.stats()["emitted"])
    assert {r.client for r in events if r.action == "remove-client"} == {client_id}
    assert b.address in {r.worker for r in events if r.action == "add-worker"}


@gen_test()
async def test_the_event_log_holds_every_event_when_the_scheduler_is_closed(tmp_path):
    path = tmp_path / "logs" / "events.jsonl"
    with dask.config.set({"leandask.event-log.path": str(path)}):
        async with lean() as s, Worker(s.address), connect(s.address) as c:
            await c.submit(inc, 1)
            s.log_event("mine", {"text": "a\nb"})
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert len(records) == s.stream.stats()["emitted"]
    assert s.stream.stats()["dropped"] == {
        "queue-length": 0,
        "queue-bytes": 0,
        "closed": 0,
        "failed": 0,
    }
    assert {r["scheduler_id"] for r in records} == {s.id}


@gen_test()
async def test_two_schedulers_of_a_process_have_separate_event_logs(tmp_path):
    ids = []
    for name in ("a", "b"):
        with dask.config.set({"leandask.event-log.path": str(tmp_path / name)}):
            ids.append(await lean())
    for s in ids:
        s.log_event("mine", s.id)
    for s in ids:
        await s.close()
    for name, s in zip("ab", ids, strict=True):
        lines = (tmp_path / name).read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [r["event_name"] for r in records] == [
            "dask.scheduler.start",
            "dask.event",
            "dask.scheduler.stop",
        ]
        assert json.loads(records[1]["payload"]) == s.id
