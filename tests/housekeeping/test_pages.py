from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import dask.config
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc
from tornado.httpclient import AsyncHTTPClient

from leandask import LeanScheduler
from leandask.housekeeping.pages import forget_undrawn
from leandask.housekeeping.sessions import sessions


@asynccontextmanager
async def opened():
    """A scheduler, a client, and the graph of an open page with how to draw it now."""
    with dask.config.set({"distributed.dashboard.graph-max-items": 20}):
        async with (
            LeanScheduler(host="127.0.0.1", dashboard_address="127.0.0.1:0") as s,
            Worker(s.address, dashboard=False),
            Client(s.address, asynchronous=True) as c,
        ):
            url = f"http://127.0.0.1:{s.http_server.port}/graph"
            await AsyncHTTPClient(force_instance=True).fetch(url)
            [session] = sessions(s)
            [graph] = session.document.components
            yield s, c, graph, partial(session.with_document_locked, graph.update)


def undrawn(graph):
    layout = graph.layout
    updates = (layout.state_updates, layout.visible_updates)
    edges = (layout.new_edges, layout.visible_edge_updates)
    return sum(map(len, (layout.new, *updates, *edges)))


def shown(graph):
    nodes = graph.node_source.data
    assert set(nodes["visible"]) <= {"True"}
    return dict(zip(nodes["key"], nodes["state"], strict=True))


@gen_test()
async def test_an_open_page_keeps_nothing_of_too_many_tasks_and_draws_all_of_few():
    async with opened() as (s, c, graph, draw):
        first = c.map(inc, range(10), pure=False)
        await c.gather(first)
        await draw()
        assert len(shown(graph)) == 10
        many = c.map(inc, range(20), pure=False)
        await c.gather(many)
        assert undrawn(graph) > 0
        await s.extensions["leandask"].housekeeping.run()
        assert undrawn(graph) == 0
        for _ in range(3):
            x = c.submit(inc, 1, pure=False)
            await c.submit(inc, x, pure=False)
            del x
            await draw()
            assert shown(graph) == {}
            assert undrawn(graph) > 0
            forget_undrawn(s)
            assert undrawn(graph) == 0
        del many
        while len(s.tasks) > 10:
            await asyncio.sleep(0.01)
        y = c.submit(inc, first[0], key="y")
        await y
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}
        assert len(graph.edge_source.data["x"]) == 1
        # From here on as ever.
        z = c.submit(inc, y, key="z")
        await z
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}
        assert len(graph.edge_source.data["x"]) == 2


@gen_test()
async def test_tasks_that_are_few_again_before_the_page_looks_are_drawn():
    async with opened() as (s, c, graph, draw):
        first = c.map(inc, range(10), pure=False)
        await c.gather(first)
        await draw()
        many = c.map(inc, range(20), pure=False)
        while len(s.tasks) < 30:
            await asyncio.sleep(0)
        forget_undrawn(s)
        await c.cancel(many[5:])
        await c.gather(many[:5])
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}


@gen_test()
async def test_what_a_page_is_yet_to_draw_stays():
    async with opened() as (s, c, graph, draw):
        futures = c.map(inc, range(20), pure=False)
        await c.gather(futures)
        before = undrawn(graph), graph.invisible_count
        forget_undrawn(s)
        assert (undrawn(graph), graph.invisible_count) == before
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}
