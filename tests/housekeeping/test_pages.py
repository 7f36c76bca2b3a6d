from __future__ import annotations

import gc
from contextlib import asynccontextmanager
from functools import partial

import dask.config
from distributed import Client, Worker
from distributed.diagnostics.graph_layout import GraphLayout
from distributed.diagnostics.progress import GroupTiming
from distributed.utils_test import gen_test, inc
from tornado.httpclient import AsyncHTTPClient

from leandask import LeanScheduler
from leandask.housekeeping.pages import TIMING_BINS, forget_undrawn, get_sessions
from tests.helpers.schedulers import LOCAL, lean, run_housekeeping, until


def with_dashboard():
    return LeanScheduler(**LOCAL | {"dashboard": True})


async def open_page(s, path):
    """Open a page as a browser does, and return its session."""
    before = set(get_sessions(s))
    url = f"http://127.0.0.1:{s.http_server.port}/{path}"
    await AsyncHTTPClient(force_instance=True).fetch(url)
    [session] = set(get_sessions(s)) - before
    return session


async def close_page(s, session):
    """Have Bokeh discard a session, as it does some seconds after its last use."""
    session.request_expiration()
    for application in s.http_application.applications:
        await application._cleanup_sessions()
    assert session not in get_sessions(s)


@asynccontextmanager
async def open_graph():
    """Yield a scheduler, a client, and an open page's graph with how to draw it."""
    with dask.config.set({"distributed.dashboard.graph-max-items": 20}):
        async with (
            with_dashboard() as s,
            Worker(s.address, dashboard=False),
            Client(s.address, asynchronous=True) as c,
        ):
            session = await open_page(s, "graph")
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
async def test_an_open_graph_keeps_nothing_of_too_many_tasks_and_draws_all_of_few():
    async with open_graph() as (s, c, graph, draw):
        first = c.map(inc, range(10), pure=False)
        await c.gather(first)
        await draw()
        assert len(shown(graph)) == 10
        many = c.map(inc, range(20), pure=False)
        await c.gather(many)
        assert undrawn(graph) > 0
        await run_housekeeping(s)
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
        await until(lambda: len(s.tasks) == 10)
        y = c.submit(inc, first[0], key="y")
        await y
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}
        assert len(graph.edge_source.data["x"]) == 1
        # Then it is drawn as usual.
        z = c.submit(inc, y, key="z")
        await z
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}
        assert len(graph.edge_source.data["x"]) == 2


@gen_test()
async def test_tasks_that_are_few_again_before_the_page_updates_are_drawn():
    async with open_graph() as (s, c, graph, draw):
        first = c.map(inc, range(10), pure=False)
        await c.gather(first)
        await draw()
        many = c.map(inc, range(20), pure=False)
        await until(lambda: len(s.tasks) == 30, period=0)
        forget_undrawn(s)
        await c.cancel(many[5:])
        await c.gather(many[:5])
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}


@gen_test()
async def test_what_a_page_still_has_to_draw_stays():
    async with open_graph() as (s, c, graph, draw):
        futures = c.map(inc, range(20), pure=False)
        await c.gather(futures)
        before = undrawn(graph), graph.invisible_count
        forget_undrawn(s)
        assert (undrawn(graph), graph.invisible_count) == before
        await draw()
        assert shown(graph) == {key: "memory" for key in s.tasks}


@gen_test()
async def test_progress_by_group_is_forgotten_with_its_page():
    async with with_dashboard() as s:
        session = await open_page(s, "individual-group-progress")
        await run_housekeeping(s)
        assert GroupTiming.name in s.plugins
        await close_page(s, session)
        await run_housekeeping(s)
        assert GroupTiming.name not in s.plugins


@gen_test()
async def test_what_a_user_added_without_a_dashboard_stays():
    async with lean() as s:
        timing, layout = GroupTiming(s), GraphLayout(s)
        timing.time[:] = timing.nthreads[:] = range(1000)
        for plugin in (timing, layout):
            s.add_plugin(plugin)
        await run_housekeeping(s)
        assert s.plugins[timing.name] is timing
        assert len(timing.time) == 1000
        assert s.plugins[layout.name] is layout


@gen_test()
async def test_progress_by_group_keeps_what_its_page_shows():
    async with with_dashboard() as s:
        await open_page(s, "individual-group-progress")
        timing = s.plugins[GroupTiming.name]
        for series in (timing.time, timing.nthreads):
            series[:] = range(1000)
        timing.compute["x"] = [float(i) for i in range(1000)]
        await run_housekeeping(s)
        for series in (timing.time, timing.nthreads, timing.compute["x"]):
            assert list(series) == list(range(1000 - TIMING_BINS, 1000))


@gen_test()
async def test_the_graph_of_a_closed_page_does_not_grow(capfd):
    async with (
        with_dashboard() as s,
        Worker(s.address, dashboard=False),
        Client(s.address, asynchronous=True) as c,
    ):
        sessions = [await open_page(s, "graph") for _ in range(2)]
        # The second graph is held here after its page is closed, as if garbage had not
        # been collected yet.
        graphs = [session.document.components.copy().pop() for session in sessions]
        layouts = [graph.layout for graph in graphs]
        await close_page(s, sessions.pop())
        await run_housekeeping(s)
        future = c.submit(inc, 1)
        await future
        assert [future.key in layout.index for layout in layouts] == [True, False]
        # Upstream removes it when garbage is collected, and finds it.
        del graphs[1]

        def is_removed():
            gc.collect()  # what ends the page may hold it for a moment
            return layouts[1].name not in s.plugins

        await until(is_removed)
        assert layouts[0].name in s.plugins
    assert "Exception ignored" not in capfd.readouterr().err
