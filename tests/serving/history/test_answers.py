from __future__ import annotations

import asyncio
import itertools
import time

import dask.config
import pytest
from distributed import Client, Worker, wait
from distributed.comm import CommClosedError, connect
from distributed.utils_test import gen_test, inc

import leandask
from leandask import LogReader
from leandask.reading.backward import BackwardScan
from leandask.reading.filter import Filter
from leandask.reading.lines import record_of
from leandask.records.schema import SAMPLE, TASK_ERRED
from leandask.serving.history.answers import Answers, Asked, Turns
from leandask.serving.sampler import Sampler
from tests.helpers.compressed import ENDINGS
from tests.helpers.logs import lines
from tests.helpers.processes import start_worker
from tests.helpers.schedulers import lean, until


def logged(path, **settings):
    """Return settings for an event log with all transitions."""
    config = {"leandask.event-log.path": str(path), "leandask.stream.transitions": True}
    return config | {f"leandask.{key}": value for key, value in settings.items()}


def fill(s, n, scheduler_id=None):
    """Add lines of the past to the log of a scheduler, by default as its own."""
    event_log = s.extensions["leandask"].event_log
    s.stream.catch_up(10)
    event_log.flush()
    event_log._opened = 0.0, time.monotonic()  # so that it may have written them
    with event_log.file.path.open("ab") as f:
        f.writelines(lines(n, scheduler_id or s.id))


def patient(s, **arguments):
    """Let a scheduler search for a minute: 50 ms for 64 lines, in steps of 50 ms."""
    extension = s.extensions["leandask"]
    extension._answers = Answers(
        s,
        s.stream,
        extension.event_log,
        max_seconds=60.0,
        try_seconds=0.05,
        step_seconds=0.05,
        pause=0.05,
        **arguments,
    )
    return extension._answers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


@pytest.mark.parametrize("ending", ENDINGS)
@gen_test()
async def test_a_compressed_log_is_searched_too(tmp_path, ending):
    with dask.config.set(logged(tmp_path / f"log.jsonl{ending}")):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            for i in range(20):
                await client.log_event("mine", {"n": i})
                if i % 5 == 0:
                    await leandask.get_history(client, limit=1)  # it writes what waits
            answer = await leandask.get_history(client, topic="mine")
            payloads = [record["payload"] for record in answer["records"]]
            assert payloads == [f'{{"n":{i}}}' for i in range(19, -1, -1)]
            assert not answer["broken"]


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
            run, *transitions = sorted(
                answer["records"], key=lambda r: r["event_name"] != TASK_ERRED
            )
            assert run["exception_type"] == "TypeError"
            steps = [(r["task_start"], r["task_finish"]) for r in transitions]
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
        assert "memory" in [r.get("task_finish") for r in records]


@gen_test()
async def test_samples_are_in_an_answer_only_by_their_name(path):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            s.log_event("mine", 1)
            for _ in range(5):
                Sampler(s, 10.0).sample()
            found = await leandask.get_history(client, limit=1)
            assert [r["topic"] for r in found["records"]] == ["mine"]
            found = await leandask.get_history(client, event_name=SAMPLE)
            assert [r["event_name"] for r in found["records"]] == [SAMPLE] * 5


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
            fill(s, 50_000)
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


@pytest.mark.parametrize(
    "value, got",
    [
        (["x"] * 1001, "list of at most 1000 texts; got 1001 texts"),
        ("x" * 1001, "text of at most 1000 characters; got 1001 characters"),
    ],
)
@gen_test()
async def test_a_filter_that_is_too_large_is_refused(path, value, got):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            with pytest.raises(ValueError, match=f"topic must be a .*{got}"):
                await leandask.get_history(client, topic=value)
            # A client of another version may not check it.
            with pytest.raises(ValueError, match=f"topic must be a .*{got}"):
                await client.scheduler.leandask_history(
                    limit=1, filters={"topic": value}
                )
            answer = await leandask.get_history(client, topic=["all"] * 1000, limit=1)
            assert len(answer["records"]) == 1


def test_each_line_asks_for_the_deadline(tmp_path):
    (tmp_path / "log").write_bytes(b"".join(lines(64, "Scheduler-1")))
    seen = []

    class Late(Filter):
        def matches(self, record):
            seen.append(record)
            scan.deadline = 0.0  # it passes in the middle of a slice
            return True

    scan = BackwardScan(tmp_path / "log", Late(), 1000)
    assert [len(found) for found in scan.slices()] == [len(seen)] == [1]
    assert scan.is_late


@gen_test()
async def test_clients_take_turns():
    turns = Turns()
    for client in "aaabac":
        turns.put(Asked(None, client, bool))
    assert "".join(turns.pop().client for _ in range(6)) == "abcaaa"
    assert not turns


@gen_test()
async def test_a_client_can_not_send_what_is_neither_a_filter_nor_a_name(path):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            ask = client.scheduler.leandask_history
            for filters in ({"x" * 10_000: []}, {5: "x"}, ["key"], None):
                with pytest.raises(TypeError, match="filters must be of action, ") as e:
                    await ask(limit=1, filters=filters)
                assert len(str(e.value)) < 1000
            for name in ({"a": 1}, ["a"], 5, "x" * 10_000):
                answer = await ask(limit=1, filters={}, client=name)
                assert answer["truncated"] == "limit"


@gen_test()
async def test_of_the_name_of_a_client_its_start_is_kept_while_it_waits(path):
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            fill(s, 640)
            answers = patient(s)
            asking = asyncio.ensure_future(
                client.scheduler.leandask_history(
                    limit=1, filters={"key": "nothing"}, client="x" * 10_000
                )
            )
            await until(lambda: answers._open)
            (asked,) = answers._open
            assert len(asked.client) < 1000
            answers.pause = 0.0
            await asking


@gen_test(timeout=60)
async def test_a_short_question_does_not_wait_for_long_ones(path):
    with dask.config.set(logged(path)):
        async with (
            lean() as s,
            Client(s.address, asynchronous=True) as many,
            Client(s.address, asynchronous=True) as other,
        ):
            fill(s, 64 * 100)
            answers = patient(s)
            long = [
                asyncio.ensure_future(leandask.get_history(many, key=f"nothing-{i}"))
                for i in range(20)
            ]
            await until(lambda: len(answers._open) == 20)
            answer = await leandask.get_history(other, limit=1)
            assert len(answer["records"]) == 1
            # The first one of the others takes 5 s.
            assert not any(each.done() for each in long)
            answers.pause = 0.0
            for answer in await asyncio.gather(*long):
                assert (answer["records"], answer["truncated"]) == ([], None)
            assert not answers._open


@gen_test()
async def test_the_number_of_questions_is_bounded(path, monkeypatch):
    monkeypatch.setattr("leandask.serving.history.answers.MAX_OF_CLIENT", 2)
    monkeypatch.setattr("leandask.serving.history.answers.MAX_OF_ALL", 3)
    with dask.config.set(logged(path)):
        async with (
            lean() as s,
            Client(s.address, asynchronous=True) as one,
            Client(s.address, asynchronous=True) as other,
        ):
            fill(s, 64 * 100)  # 5 s
            answers = patient(s)
            asked = [
                asyncio.ensure_future(leandask.get_history(client, key="nothing"))
                for client in (one, one, other)
            ]
            await until(lambda: len(answers._open) == 3)
            with pytest.raises(ValueError, match="of one client must be at most 2"):
                await leandask.get_history(one)
            with pytest.raises(ValueError, match="of all clients must be at most 3"):
                await leandask.get_history(other)
            answers.pause = 0.0
            await asyncio.gather(*asked)
            await leandask.get_history(one)
            monkeypatch.setattr("leandask.serving.history.answers.MAX_BYTES", 10)
            await leandask.get_history(one, topic=["x" * 5, "y" * 5])
            with pytest.raises(ValueError, match="must be at most 10 bytes at once"):
                await leandask.get_history(one, topic=["x" * 5, "y" * 6])
            with pytest.raises(TypeError, match="must be a text, or a list of texts"):
                filters = {"key": [["x"]]}
                await one.scheduler.leandask_history(limit=1, filters=filters)


@gen_test()
async def test_the_search_ends_when_the_asking_client_is_gone(path):
    with dask.config.set(logged(path)):
        async with lean() as s:
            fill(s, 64 * 500)  # 25 s
            answers = patient(s)
            comm = await connect(s.address)
            filters = {"key": ["nothing"]}
            question = {"op": "leandask_history", "limit": 1, "filters": filters}
            await comm.write(question)
            await until(lambda: answers._current)
            comm.abort()
            # Long before the search would have ended by itself.
            await asyncio.wait_for(until(lambda: not answers._open), 12)
            await until(lambda: answers._work.done())


@gen_test()
async def test_a_scheduler_that_closes_answers_with_an_error(path):
    with dask.config.set(logged(path)):
        async with lean() as s:
            fill(s, 64 * 500)  # 25 s
            answers = patient(s)
            asking = asyncio.ensure_future(answers.find(1, {"key": ["nothing"]}))
            await until(lambda: answers._current)
        with pytest.raises(CommClosedError, match="The scheduler closes"):
            await asking
        assert answers._work.done()


@gen_test()
async def test_a_client_gets_the_records_of_its_own_scheduler_only(path):
    with dask.config.set(logged(path)):
        async with lean() as s, lean() as other:
            other.log_event("mine", "secret")
            fill(s, 64, "Scheduler-of-an-earlier-run")
            other.stream.catch_up(10)
            other.extensions["leandask"].event_log.flush()
            async with Client(s.address, asynchronous=True) as client:
                answer = await leandask.get_history(client)
                assert {r["scheduler_id"] for r in answer["records"]} == {s.id}
                assert (await leandask.get_history(client, topic="mine"))[
                    "records"
                ] == []
                with pytest.raises(
                    ValueError,
                    match=r"event-log\.history must be 'all' .*; got 'own'",
                ):
                    await leandask.get_history(client, schedulers="all")
                with dask.config.set({"leandask.event-log.history": "all"}):
                    answer = await leandask.get_history(client)
                    assert {r["scheduler_id"] for r in answer["records"]} == {s.id}
                    answer = await leandask.get_history(client, schedulers="all")
                assert {r["scheduler_id"] for r in answer["records"]} == {
                    *(s.id, other.id, "Scheduler-of-an-earlier-run")
                }
                with pytest.raises(ValueError, match="schedulers must be"):
                    await leandask.get_history(client, schedulers="both")


@gen_test()
async def test_the_search_ends_where_the_records_of_others_begin(path):
    path.write_bytes(b"".join(lines(10_000, "Scheduler-of-an-earlier-run")))
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            answer = await leandask.get_history(client, limit=100_000)
            assert {r["scheduler_id"] for r in answer["records"]} == {s.id}
            assert answer["truncated"] is None
            (line,) = lines(1, "x", first=9_000)
            assert answer["reached"] > record_of(line.strip())["timestamp"]


@gen_test()
async def test_an_answer_says_which_files_it_left_out(path, tmp_path):
    (tmp_path / "log.jsonl.1.gz").write_bytes(b"not gzipped")
    with dask.config.set(logged(path)):
        async with lean() as s, Client(s.address, asynchronous=True) as client:
            answer = await leandask.get_history(client, key="nothing")
            assert answer["records"] == []
            [left_out] = answer["left_out"]
            assert "log.jsonl.1.gz" in left_out
            assert answer["broken"] == 1
