"""Graphs that do not fit below the memory limit are refused, and nothing else is."""

from __future__ import annotations

import asyncio

import dask
import dask.array as da
import pytest
from distributed import Client, Scheduler, futures_of, wait
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask.guard import graphs
from leandask.guard.cost import TaskCost
from tests.helpers.guards import error_of, guard_of, leave_room
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until

MIB = 2**20
# A thread may be interrupted where Python raises nothing, and then is again.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")


def sum_graph(n_tasks):
    """A graph of so many tasks and more, of which the client wants one."""
    return da.ones(n_tasks, chunks=1).sum()


def held(scheduler):
    """Return what a scheduler has of graphs."""
    clients = scheduler.clients.values()
    return (
        len(scheduler.tasks),
        len(scheduler.task_groups),
        sum(len(client.wants_what) for client in clients),
        len(scheduler.computations),
        len(scheduler.extensions["spans"].spans),
    )


@gen_test(timeout=60)
async def test_a_graph_that_does_not_fit_is_refused_and_leaves_nothing(monkeypatch):
    # What the tests before have left free in this process is room, too.
    monkeypatch.setattr(TaskCost, "free", lambda self, rss: 0.0)
    async with lean_cluster() as (s, c):
        before = held(s)
        leave_room(s, 10)  # its tasks take 15, whatever reading it takes
        text = await error_of(c.compute(sum_graph(20_000), optimize_graph=False))
        assert "refused a graph of " in text
        assert "(leandask.memory.refuse). It holds " in text
        assert held(s) == before
        assert guard_of(s).refusals.count == 1
        # It is taken once there is room.
        guard_of(s).set({"limit": None})
        future = c.compute(sum_graph(20_000), optimize_graph=False)
        await until(lambda: len(s.computations) == 1)
        await future.cancel()


def as_map(client):
    return client.map(inc, range(10), pure=False)[0]


def as_submit(client):
    return client.submit(inc, 1, pure=False)


def as_actor(client):
    return client.submit(list, actor=True)


def as_compute(client):
    return client.compute(dask.delayed(inc, pure=False)(1))


def as_persist(client):
    return futures_of(client.persist(dask.delayed(inc, pure=False)(1)))[0]


@pytest.mark.parametrize(
    "submit", [as_map, as_submit, as_actor, as_compute, as_persist]
)
@gen_test()
async def test_all_that_brings_a_graph_in_is_refused_without_room(submit):
    async with lean_cluster() as (s, c):
        guard_of(s).set({"limit": "1 MiB"})
        assert "it had room for 0 B" in await error_of(submit(c))
        assert not s.tasks
        guard_of(s).set({"limit": None})
        assert await submit(c) is not None


@gen_test()
async def test_a_refused_future_can_not_be_retried_and_the_error_says_what_to_do():
    async with lean_cluster() as (s, c):
        guard_of(s).set({"limit": "1 MiB"})
        refused = c.submit(inc, 1, key="mine")
        await error_of(refused)
        with pytest.raises(KeyError, match="no task 'mine': if its graph was refused"):
            await c.retry([refused])
        guard_of(s).set({"limit": None})
        erred = c.submit(inc, "x", key="erred")
        await wait(erred)
        await c.retry([erred])
        await until(lambda: s.tasks["erred"].state == "erred")


@gen_test()
async def test_a_task_gets_the_error_of_the_graph_that_it_submits():
    def submit_more():
        from distributed import worker_client

        with worker_client() as client:
            client.run_on_scheduler(
                lambda dask_scheduler: dask_scheduler.extensions["leandask"].guard.set(
                    {"limit": "1 MiB"}
                )
            )
            return repr(client.submit(inc, 1, pure=False).exception())

    async with lean_cluster() as (_, c):
        assert "refused a graph of 1 task or more" in await c.submit(submit_more)


@gen_test()
async def test_tasks_that_are_there_go_on_while_graphs_are_refused():
    async with lean_cluster() as (s, c):
        first = c.submit(inc, 1, key="first")
        await first
        guard_of(s).set({"limit": "1 MiB"})
        # It has a future of the client's own, which stays as it is.
        refused = c.map(inc, range(5), key=["first", "b", "c", "d", "e"])
        await error_of(refused[1])
        assert first.status == "finished"
        assert await first == 2


@gen_test()
async def test_a_task_that_is_only_wanted_gets_the_error():
    async with lean_cluster() as (s, c):
        s.new_task("wanted", None, "released")
        s.client_desires_keys(["wanted"], c.id)
        guard_of(s).set({"limit": "1 MiB"})
        [future] = c.get({"wanted": (inc, 1)}, ["wanted"], sync=False)
        await error_of(future)


@pytest.mark.parametrize("end", ["close", "restart"])
@gen_test(timeout=60)
async def test_a_scheduler_ends_or_restarts_while_it_answers(end):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        guard_of(s).set({"limit": "1 MiB"})
        futures = c.map(inc, range(20_000))
        await error_of(futures[0])
        ending = s.close() if end == "close" else c.restart(wait_for_workers=False)
        await asyncio.wait_for(ending, 20)
        await until(lambda: {f.status for f in futures} <= {"cancelled", "error"})
        assert not s.tasks


@gen_test()
async def test_a_client_that_leaves_meanwhile_gets_no_answer():
    async with lean() as s:
        async with Client(s.address, asynchronous=True) as c:
            guard_of(s).set({"limit": "1 MiB"})
            futures = c.map(inc, range(2000))
            await until(lambda: guard_of(s).refusals.count == 1)
        del futures
        assert not s.tasks


@pytest.mark.filterwarnings("ignore:Sending large graph")
@gen_test(timeout=60)
async def test_a_message_that_does_not_fit_is_not_read():
    async with lean_cluster() as (s, c):
        guard_of(s).set({"limit": "1 MiB"})
        data = [bytes(MIB) for _ in range(60)]
        futures = c.compute([dask.delayed(len)(each) for each in data])
        text = await error_of(futures[0])
        assert "refused a graph of 60 tasks or more: it had room for 0 B " in text
        await error_of(futures[-1])
        assert guard_of(s).refusals.count == 1
        assert not s.tasks
        guard_of(s).set({"limit": None})
        assert await c.submit(inc, 1) == 2


@gen_test(timeout=60)
async def test_keys_are_answered_as_they_come_in():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        futures = c.map(inc, range(10))
        await until(lambda: len(s.tasks) == 10)
        guard_of(s).set({"limit": "1 MiB"})
        many = c.map(inc, range(10, 30_010))
        await error_of(many[0])
        await error_of(many[-1])
        assert len(s.tasks) == 10
        # All are released in messages of which the keys are not known.
        del many
        del futures
        await until(lambda: not s.tasks)


@gen_test()
async def test_messages_of_clients_that_were_there_before_are_looked_at():
    async with (
        Scheduler(**LOCAL) as s,
        Client(s.address, asynchronous=True) as c,
    ):
        install(s)
        # The message that comes next is not: its size is waited for already.
        future = c.submit(inc, 1)
        await until(lambda: s.tasks)  # old clients may cancel it before they send it
        await future.cancel()
        await until(lambda: not s.tasks)
        guard_of(s).set({"limit": "1 MiB"})
        # Handlers of messages that were read as a whole are not called.
        s.stream_handlers["update-graph"] = None
        await error_of(c.map(inc, range(30_000))[-1])


@gen_test()
async def test_what_holds_the_memory_is_looked_for_once_for_many_graphs(monkeypatch):
    looks = []

    def look(scheduler, start):
        looks.append(scheduler)
        return find(scheduler, start)

    find = graphs.look
    monkeypatch.setattr(graphs, "look", look)
    monkeypatch.setattr(graphs, "LOOK_SECONDS", 3600)
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        guard_of(s).set({"limit": "1 MiB"})
        for number in range(20):
            assert "It holds " in await error_of(c.submit(inc, number))
        assert len(looks) == 1


@gen_test()
async def test_a_refusal_is_answered_if_what_holds_the_memory_is_not_known(
    monkeypatch, caplog
):
    def fail(scheduler, start):
        raise OSError("an object that can't be looked at")

    monkeypatch.setattr(graphs, "look", fail)
    async with lean_cluster() as (s, c):
        first = c.submit(inc, 1)
        await first
        guard_of(s).set({"limit": "1 MiB"})
        text = await error_of(c.submit(inc, 2))
        assert text.endswith("(leandask.memory.refuse).")
        assert "What holds the memory is not known" in caplog.text
        assert first.status == "finished"
