"""Graphs that come at the same time: none is refused for the memory of another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import ClassVar

import pytest
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from distributed import Client
from distributed.utils_test import gen_test, inc

from leandask.housekeeping.giveback import GiveBack
from tests.helpers.guards import MIB, error_of, guard_of, leave_room
from tests.helpers.schedulers import lean_cluster, until

# A thread may be interrupted where Python raises nothing, and then is again.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")


class Filling(MaterializedLayer):
    """A layer that takes memory, which comes back, once a scheduler has read it."""

    has_begun = threading.Event()
    held: ClassVar[list] = []

    def __reduce__(self):
        return Filled, (dict(self.mapping),)


class Filled(MaterializedLayer):
    def __iter__(self):
        Filling.has_begun.set()
        for _ in range(500):
            Filling.held.append(b"x" * MIB)
            time.sleep(0.001)
        return super().__iter__()


def filling_graph():
    layers = {"filling": Filling({"filling": (inc, 1)})}
    return Delayed("filling", HighLevelGraph(layers, {"filling": set()}))


@gen_test(timeout=60)
async def test_a_small_graph_is_not_refused_for_a_large_one_that_is_read(monkeypatch):
    async def tidy(give_back):
        await asyncio.sleep(0.1)  # as a collection of garbage takes
        Filling.held.clear()
        await tidy_up(give_back)

    tidy_up = GiveBack.tidy
    monkeypatch.setattr(GiveBack, "tidy", tidy)
    async with lean_cluster() as (s, c), Client(s.address, asynchronous=True) as other:
        for _ in range(3):
            leave_room(s, 60)
            Filling.has_begun.clear()
            large = c.compute(filling_graph(), optimize_graph=False)
            await until(Filling.has_begun.is_set)
            small = [other.submit(inc, 1, pure=False) for _ in range(3)]
            assert await other.gather(small) == [2, 2, 2]
            assert "refused a graph of 1 task or more" in await error_of(large)
            del large


@gen_test(timeout=60)
async def test_two_clients_with_graphs_that_are_too_large_are_both_refused():
    async with lean_cluster() as (s, c), Client(s.address, asynchronous=True) as other:
        Filling.held.clear()
        leave_room(s, 40)
        futures = [
            client.compute(filling_graph(), optimize_graph=False)
            for client in (c, other)
        ]
        for future in futures:
            await error_of(future)
            Filling.held.clear()
        assert not s.tasks
        guard_of(s).set({"limit": None})
        assert await c.submit(inc, 1) == 2


#: A client of its own process, as its copies of the graph would take the room, too. It
#: sends graphs of a task each as one message: nothing is sent before the last is there.
SENDING = f"""
import asyncio, sys
from distributed import Client
from distributed.utils_test import inc

async def main():
    large = {{"large": (len, b"x" * {60 * MIB})}}
    graphs = {{"task": (inc, 1)}}, large, {{"other": (sum, [1, 2])}}
    async with Client(sys.argv[1], asynchronous=True) as client:
        for future in [client.get(graph, [*graph], sync=False)[0] for graph in graphs]:
            print(await asyncio.gather(future, return_exceptions=True))

asyncio.run(main())
"""


@gen_test(timeout=60)
async def test_what_is_small_in_a_message_that_does_not_fit_is_taken():
    async with lean_cluster() as (s, _):
        leave_room(s, 30)
        client = [sys.executable, "-W", "ignore", "-c", SENDING, s.address]
        done = await asyncio.to_thread(subprocess.check_output, client, text=True)
        before, large, after = done.splitlines()
        assert (before, after) == ("[2]", "[3]")
        assert "MemoryError" in large
        assert "refused a graph of 1 task or more" in large
        assert guard_of(s).refusals.count == 1
