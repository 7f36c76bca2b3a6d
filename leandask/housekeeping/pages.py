"""Pages: what the dashboard's open pages keep, and what closed ones leave behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from distributed.diagnostics.plugin import SchedulerPlugin

from leandask import _compat

if TYPE_CHECKING:
    from bokeh.server.session import ServerSession
    from distributed import Scheduler
    from distributed.diagnostics.progress import GroupTiming

#: Bins of the page of progress by group, one each second.
TIMING_BINS = 180

#: A plugin that does nothing.
_EMPTY_PLUGIN = SchedulerPlugin()


def get_sessions(scheduler: Scheduler) -> Iterator[ServerSession]:
    """Yield the sessions of pages that are open, or were until a few seconds ago."""
    tornado = sys.modules.get("bokeh.server.tornado")
    if tornado is None:  # no page was ever requested
        return
    for app in scheduler.http_application.applications:
        if isinstance(app, tornado.BokehTornado):
            for path in app.app_paths:
                yield from app.get_sessions(path)


def has_sessions(scheduler: Scheduler) -> bool:
    """Whether any page is open, or was until a few seconds ago."""
    return next(get_sessions(scheduler), None) is not None


def trim_group_timing(scheduler: Scheduler) -> None:
    """Keep what the page of progress by group shows, and nothing once it is closed.

    Upstream's plugin appends to its series every second, forever, once the page was
    opened. One that is there without a dashboard was added by a user, and stays.
    """
    timing: GroupTiming | None = scheduler.plugins.get("group-timing")  # type: ignore[assignment]
    if timing is None or not _compat.has_pages(scheduler):
        return
    if not has_sessions(scheduler):
        scheduler.remove_plugin(name=timing.name)
        return
    surplus = len(timing.time) - TIMING_BINS
    if surplus > 0:
        for series in (timing.time, timing.nthreads, *timing.compute.values()):
            del series[:surplus]


def forget_closed_graphs(scheduler: Scheduler) -> None:
    """Forget the graphs of closed pages, which grow with each transition.

    The plugin ``GraphLayout`` of a closed page stays in the scheduler until garbage is
    collected: then ``TaskGraph.__del__`` removes it by its name. An empty plugin takes
    its place, as upstream would raise if it found none.
    """
    module: Any = sys.modules.get("distributed.diagnostics.graph_layout")
    if module is None or not _compat.has_pages(scheduler):
        return
    plugins = scheduler.plugins.items()
    layouts = {name for name, p in plugins if isinstance(p, module.GraphLayout)}
    if layouts:
        for component in _get_components(scheduler):
            if hasattr(component, "layout"):
                layouts.discard(component.layout.name)
    for name in layouts:
        scheduler.plugins[name] = _EMPTY_PLUGIN


def forget_undrawn(scheduler: Scheduler) -> None:
    """Forget what open pages of the graph do not draw, as there are too many tasks.

    With more tasks than ``max_items``, ``TaskGraph.update`` draws none and removes
    nothing from its ``layout``, which keeps each transition, at 100 bytes. Once there
    are fewer tasks, it draws all of them if ``invisible_count`` says that most of what
    it shows is gone.
    """
    module: Any = sys.modules.get("distributed.dashboard.components.scheduler")
    if module is None:
        return
    for graph in _get_components(scheduler):
        if (
            isinstance(graph, module.TaskGraph)
            and len(scheduler.tasks) > graph.max_items
        ):
            layout = graph.layout
            layout.new, layout.new_edges, layout.state_updates = [], [], []
            layout.visible_updates, layout.visible_edge_updates = [], []
            graph.invisible_count = sys.maxsize


def _get_components(scheduler: Scheduler) -> Iterator[Any]:
    """Yield what the pages show: each document lists its ``components``."""
    for session in get_sessions(scheduler):
        yield from getattr(session.document, "components", ())
