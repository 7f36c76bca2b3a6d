from __future__ import annotations

import gc
import os
import random
import traceback

import pytest
from distributed import Client, Scheduler, Worker, wait
from distributed.protocol import Serialized
from distributed.scheduler import TaskState
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask.tasks import erred
from leandask.tasks.erred import Errors, PackedError
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until


def fail(x, text="no luck"):
    raise ValueError(text)


def fail_with_cause(x):
    try:
        fail(x, f"cause {x % 2}")
    except ValueError as exc:
        raise KeyError("nested") from exc


def fail_once(path):
    if not os.path.exists(path):
        with open(path, "w"):
            raise OSError("first try")
    return "done"


def lines_of(error):
    return traceback.format_exception(type(error), error, error.__traceback__)


def kept(ts):
    """Return the exception as a task keeps it."""
    return TaskState.exception.__get__(ts)


def frames_of(scheduler):
    """Return the frames of all errors that a scheduler keeps."""
    return [
        frame
        for ts in scheduler.tasks.values()
        for error in (ts.exception, ts.traceback)
        if error is not None
        for frame in error.frames
    ]


@gen_test()
async def test_equal_errors_are_one_and_no_view_of_a_message():
    async with lean() as s:
        async with (
            Worker(s.address, dashboard=False) as a,
            Worker(s.address, dashboard=False) as b,
            Client(s.address, asynchronous=True) as c,
        ):
            futures = c.map(fail, range(20))
            await wait(futures)
            tasks = [s.tasks[f.key] for f in futures]
            for name in ("traceback", "exception_text", "traceback_text"):
                assert len({id(getattr(ts, name)) for ts in tasks}) == 1, name
            assert len({id(kept(ts)) for ts in tasks}) == 1
            assert {type(frame) for frame in frames_of(s)} == {bytes}
            assert {name for ts in tasks for name in ts.erred_on} == {
                a.address,
                b.address,
            }
            assert len({id(ts.erred_on) for ts in tasks}) == 2
            with pytest.raises(TypeError, match="many tasks share"):
                tasks[0].erred_on.add("another")
            assert tasks[0].exception_text == "ValueError('no luck')"
            assert "raise ValueError(text)" in tasks[0].traceback_text
            for future in futures[:3]:
                error = await future.exception()
                assert (type(error), error.args) == (ValueError, ("no luck",))
                assert "in fail" in "".join(lines_of(error))


@gen_test()
async def test_different_errors_stay_different():
    async with lean_cluster() as (s, c):
        texts = [f"error {i % 3}" for i in range(9)]
        futures = c.map(fail, range(9), texts)
        await wait(futures)
        for future, text in zip(futures, texts, strict=True):
            assert str(await future.exception()) == text
            assert s.tasks[future.key].exception_text == f"ValueError({text!r})"
        tasks = [s.tasks[f.key] for f in futures]
        assert len({id(kept(ts)) for ts in tasks}) == 3
        assert len({id(ts.traceback) for ts in tasks}) == 1
        assert len({id(ts.exception.header) for ts in tasks}) == 1


def fail_below(x, text, depth=40):
    if depth:
        fail_below(x, text, depth - 1)
    raise ValueError(text)


@gen_test()
async def test_an_exception_takes_little_beside_its_text_and_traceback(monkeypatch):
    async with lean_cluster() as (s, c):
        texts = [f"{i} \udc80 é " + random.randbytes(1500).hex() for i in range(3)]
        futures = c.map(fail_below, range(3), texts)
        await wait(futures)
        for future, text in zip(futures, texts, strict=True):
            ts = s.tasks[future.key]
            assert sum(map(len, ts.exception.frames)) > 6000
            assert sum(map(len, kept(ts)._frames)) < 600
            error = await future.exception()
            assert (type(error), error.args) == (ValueError, (text,))
            assert "".join(lines_of(error)).count("in fail_below") > 2
        monkeypatch.setattr(erred, "LARGEST", 2000)
        large = c.submit(fail_below, 1, "large")
        await wait(large)
        assert type(kept(s.tasks[large.key])) is Serialized


@gen_test()
async def test_a_client_sees_causes_and_dependents_the_error_of_their_dependency():
    async with lean_cluster(validate=True) as (s, c):
        futures = c.map(fail_with_cause, range(4))
        after = c.map(inc, futures)
        await wait(after)
        for i, future in enumerate(after):
            with pytest.raises(KeyError, match="nested") as caught:
                await future
            assert str(caught.value.__cause__) == f"cause {i % 2}"
            ts = s.tasks[future.key]
            assert ts.exception is None
            assert ts.exception_blame is s.tasks[futures[i].key]
        s.validate_state()


@gen_test()
async def test_errors_go_with_their_tasks(monkeypatch):
    made = []
    new = Errors.__init__

    def remember(self):
        new(self)
        made.append(self)

    monkeypatch.setattr(Errors, "__init__", remember)
    async with lean_cluster() as (s, c):
        (errors,) = made
        futures = c.map(fail, range(6), [f"error {i}" for i in range(6)])
        await wait(futures)
        assert len(errors) == 7
        del futures
        await until(lambda: not s.tasks)
        gc.collect()
        assert len(errors) == 0


@gen_test()
async def test_retried_tasks_err_again_or_succeed(tmp_path):
    async with lean_cluster(validate=True) as (s, c):
        bad = c.submit(fail, 1)
        flaky = c.submit(fail_once, str(tmp_path / "tried"), retries=0)
        await wait([bad, flaky])
        assert flaky.status == "error"
        await c.retry([bad, flaky])
        assert await flaky == "done"
        await wait(bad)
        assert str(await bad.exception()) == "no luck"
        s.validate_state()


@gen_test()
async def test_an_actor_whose_worker_is_lost_has_an_error_of_its_own_bytes():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        async with Worker(s.address, dashboard=False):
            actor = c.submit(Errors, actor=True)
            await actor
        await until(lambda: s.tasks[actor.key].state == "erred")
        assert {type(frame) for frame in frames_of(s)} == {bytes}
        with pytest.raises((RuntimeError, ValueError), match="Actor was lost"):
            await actor.result()


@gen_test()
async def test_errors_of_a_worker_in_this_process_reach_its_client():
    async with lean(protocol="inproc", host=None) as s:
        async with (
            Worker(s.address, dashboard=False),
            Worker(s.address, dashboard=False, protocol="tcp", host="127.0.0.1"),
            Client(s.address, asynchronous=True) as c,
        ):
            futures = c.map(fail, range(10))
            await wait(futures)
            for future in futures:
                assert str(await future.exception()) == "no luck"
                with pytest.raises(ValueError, match="no luck"):
                    await future


@gen_test()
async def test_a_dump_shows_the_errors_and_their_workers():
    async with lean_cluster() as (s, c):
        await wait(c.submit(fail, 1, key="bad"))
        future = c.submit(fail, 1, key="worse")
        await wait(future)
        dump = await s.get_cluster_state(exclude=["run_spec"])
        task = dump["scheduler"]["tasks"]["worse"]
        assert task["exception_text"] == "ValueError('no luck')"
        assert task["erred_on"] == [*s.workers]


@gen_test()
async def test_a_fault_of_ours_leaves_the_error_as_it_is(monkeypatch, caplog):
    def broken(self, ts):
        raise RuntimeError("broken")

    monkeypatch.setattr(Errors, "share", broken)
    async with lean_cluster() as (_, c):
        future = c.submit(fail, 1, key="bad")
        with pytest.raises(ValueError, match="no luck"):
            await future
    assert "The error of 'bad' is not shared" in caplog.text


@gen_test()
async def test_tasks_that_erred_before_install_stay_as_they_are():
    async with Scheduler(**LOCAL) as s, Worker(s.address, dashboard=False):
        async with Client(s.address, asynchronous=True) as c:
            before = c.submit(fail, 1)
            await wait(before)
            kept = s.tasks[before.key].exception
            install(s)
            after = c.map(fail, range(2))
            await wait(after)
            assert s.tasks[before.key].exception is kept
            assert len({id(s.tasks[f.key].exception) for f in after}) == 1
            assert type(kept) is Serialized


@gen_test()
async def test_tasks_from_before_install_that_err_later_reach_their_clients():
    class OwnTask(TaskState):
        __slots__ = ()

    async with Scheduler(**LOCAL) as s, Client(s.address, asynchronous=True) as c:
        text = "no luck" * 500  # long enough to be packed
        futures = c.map(fail, range(3), text=text)
        dependents = c.map(inc, futures)
        await until(lambda: len(s.tasks) == 6)
        s.tasks[futures[2].key].__class__ = OwnTask
        install(s)
        futures += c.map(fail, [3], text=text)
        dependents += c.map(inc, futures[3:])
        await until(lambda: len(s.tasks) == 8)
        async with Worker(s.address, dashboard=False):
            await wait(dependents)
            for future in [*futures, *dependents]:
                assert str(await future.exception()) == text
        tasks = [s.tasks[f.key] for f in futures]
        assert type(tasks[2]) is OwnTask  # which can't unpack it
        are_packed = [type(kept(ts)) is PackedError for ts in tasks]
        assert are_packed == [True, True, False, True]


def test_a_header_that_differs_is_kept():
    class Task:
        exception_text = traceback_text = "text"
        traceback = None
        erred_on = None

        def __init__(self, header):
            self.exception = Serialized(header, [memoryview(b"same")])

    errors, kept = Errors(), []
    for i in (1, 2, 2, 1):
        kept.append(Task({"serializer": i}))
        errors.share(kept[-1])
    assert [ts.exception.header["serializer"] for ts in kept] == [1, 2, 2, 1]
    assert kept[1].exception is kept[2].exception
