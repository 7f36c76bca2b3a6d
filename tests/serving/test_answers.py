from __future__ import annotations

import asyncio
import itertools

import dask.config
import pytest
from distributed import Client, Worker, wait
from distributed.utils_test import gen_test, inc

import leandask
from leandask import LogReader
from leandask.serving.answers import Answers
from tests.helpers.logs import lines
from tests.helpers.processes import start_worker
from tests.helpers.schedulers import lean


def logged(path, **settings):
    """Return settings for an event log with all transitions."""
    config = {"leandask.event-log.path": str(path), "leandask.stream.transitions": True}
    return config | {f"leandask.{key}": value for key, value in settings.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


@gen_test()
async def test_an_asynchronous_client_gets_the_records_it_asks_for(path):
    with dask.config.set(logged(path)):
        async with (
            lean() as s,
            Worker(s.address) as worker,
            Client(s.address, asynchronous=True) as client,
        ):
            good = client.submit(inc, 1, key="good")
            bad = client.submit(inc, "1", key="bad")
            await wait([good, bad])
            await client.log_event("mine", {"n": 1})
            answer = await leandask.get_history(client, key="bad")
            steps = [(r["task_start"], r["task_finish"]) for r in answer["records"]]
            assert steps[::-1] == [
                ("released", "waiting"),
                ("waiting", "processing"),
                ("processing", "erred"),
            ]
            assert steps[::-1] == [t[1:3] for t in s.story("bad")]
            assert (answer["truncated"], answer["dropped"], answer["broken"]) == (
                None,
                0,
                0,
            )
            # A record that was emitted just before is in the answer.
            (mine,) = (await leandask.get_history(client, topic="mine"))["records"]
            assert mine["payload"] == '{"n":1}'
            (joined,) = (
                await leandask.get_history(
                    client, action="add-worker", worker=worker.address, topic="all"
                )
            )["records"]
            assert joined["scheduler_id"] == s.id
            added = await leandask.get_history(client, client=client.id, topic="all")
            assert "add-client" in {r["action"] for r in added["records"]}
            assert {r["client"] for r in added["records"]} == {client.id}
            few = await leandask.get_history(client, limit=2, since="1 hour")
            assert (len(few["records"]), few["truncated"]) == (2, "limit")
            assert few["records"][0]["seq"] > few["records"][1]["seq"]
            assert few["reached"] == few["records"][-1]["timestamp"]
            assert (await leandask.get_history(client, until="1 hour"))["records"] == []
    assert len(list(LogReader(path).story("bad"))) >= 3


def test_a_synchronous_client_gets_the_records_it_asks_for(path, start, tmp_path):
    _, file = start(f"--event-log={path}", "--log-transitions", wait=False)
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        assert client.submit(inc, 1, key="x").result() == 2
        records = leandask.get_history(client, key="x")["records"]
        assert "memory" in [r["task_finish"] for r in records]


@gen_test()
async def test_a_question_is_refused_without_an_event_log():
    async with lean() as s, Client(s.address, asynchronous=True) as client:
        with pytest.raises(ValueError, match=r"event-log\.path must be a path"):
            await leandask.get_history(client)


@pytest.mark.parametrize("handler", ["leandask_history", "events", "get_story"])
@gen_test()
async def test_blocked_handlers_are_honoured(path, handler):
    with dask.config.set(logged(path)):
        async with (
            lean(blocked_handlers=[handler]) as s,
            Client(s.address, asynchronous=True) as client,
        ):
            with pytest.raises(ValueError, match=handler):
                await leandask.get_history(client)


@pytest.mark.parametrize(
    "filters, error",
    [
        ({"limit": 0}, "limit must be a whole number of at least 1; got 0"),
        ({"topic": 5}, "topic must be a text"),
        ({"level": "LOUD"}, "level must be one of"),
        ({"since": "noon"}, "since must be an ISO"),
    ],
)
@gen_test()
async def test_a_filter_that_is_not_valid_is_refused(path, filters, error):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            with pytest.raises((TypeError, ValueError), match=error):
                await leandask.get_history(client, **filters)


@gen_test()
async def test_an_answer_is_bounded_in_bytes_and_time(path):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            for i in range(1000):
                s.log_event("many", {"n": i})
            event_log = s.extensions["leandask"].event_log
            few_bytes = Answers(s, s.stream, event_log, max_bytes=10_000)
            s.handlers["leandask_history"] = few_bytes.find
            answer = await leandask.get_history(client, limit=5000)
            assert answer["truncated"] == "bytes"
            assert 10_000 / 1000 < len(answer["records"]) < 1000
            no_time = Answers(s, s.stream, event_log, max_seconds=-1.0)
            s.handlers["leandask_history"] = no_time.find
            answer = await leandask.get_history(client, limit=5000, key="nothing")
            assert answer["truncated"] == "seconds"


@gen_test()
async def test_the_event_loop_keeps_running_while_a_long_log_is_read(path):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            s.stream.catch_up(1)
            with path.open("ab") as f:
                f.writelines(lines(50_000, "Scheduler-1"))
            ticks = itertools.count()

            async def tick():
                for _ in ticks:
                    await asyncio.sleep(0)

            ticking = asyncio.create_task(tick())
            asking = leandask.get_history(client, key="nothing")
            answer = await asyncio.wait_for(asking, 30)
            ticking.cancel()
            assert answer["records"] == []
            assert next(ticks) > 1000


@gen_test()
async def test_a_removed_log_has_no_records(path):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            await leandask.get_history(client)
            path.unlink()
            answer = await leandask.get_history(client, topic="none")
            assert answer["records"] == []
