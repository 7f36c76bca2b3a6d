"""The HTTP server: its prefix, the menu of the pages, the collectors of metrics."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from distributed import Scheduler


def get_http_prefix(scheduler: Scheduler) -> str:
    """The start of every route's path: ``/``, or ``/prefix/``.

    ``http.utils.get_handlers`` puts it before the paths in each module's ``routes``,
    and stores it nowhere else.
    """
    for rule in scheduler.http_application.wildcard_router.rules:
        module = sys.modules.get(getattr(rule.target, "__module__", ""))
        pattern = getattr(rule.matcher, "regex", re.compile("")).pattern.rstrip("$")
        for path, handler, *_ in getattr(module, "routes", ()):
            below = "/" + path.lstrip("/")
            if handler is rule.target and pattern.endswith(below):
                return cast(str, pattern[: -len(below)]) + "/"
    return "/"


def has_pages(scheduler: Scheduler) -> bool:
    """Whether the scheduler's dashboard, a Bokeh application, exists yet."""
    applications = scheduler.http_application.applications
    return any(hasattr(application, "app_paths") for application in applications)


def add_to_menu(scheduler: Scheduler, page: str) -> None:
    """``dashboard.scheduler.template_variables``: the menu, one list per scheduler.

    It is cached with its scheduler forever, so it is used only if the dashboard exists.
    """
    dashboard: Any = sys.modules.get("distributed.dashboard.scheduler")
    if dashboard is not None and has_pages(scheduler):
        pages = dashboard.template_variables(scheduler).get("pages")
        if isinstance(pages, list) and page not in pages:
            pages.append(page)


def replace_collectors(replace: Callable[[list[Any]], list[Any]]) -> None:
    """``http.scheduler.prometheus.core``: the first request makes the ``COLLECTORS``.

    It registers them for the process; each request sets their scheduler. After the
    first request, the next one makes them again. The module is imported only if
    prometheus_client is installed and a scheduler has the route.
    """
    core: Any = sys.modules.get("distributed.http.scheduler.prometheus.core")
    if core is None or (makers := replace(core.COLLECTORS)) == core.COLLECTORS:
        return
    core.COLLECTORS[:] = makers
    for collector in core.PrometheusHandler._collectors or ():
        with suppress(KeyError):  # it raised when it was registered
            core.prometheus_client.REGISTRY.unregister(collector)
    core.PrometheusHandler._collectors = None
