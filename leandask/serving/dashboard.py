"""LazyDashboard: the pages of the dashboard, made at the first request for one."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from distributed.http.scheduler.info import IndividualPlots
from distributed.versions import BOKEH_REQUIREMENT
from tornado import httputil, web

from leandask.serving.page import link_page

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from distributed import Scheduler

logger = logging.getLogger("leandask")

#: Upstream's module of the pages. It imports Bokeh and NumPy, which take 18 MB.
PAGES = "distributed.dashboard.scheduler"


def can_wait() -> bool:
    """Whether the dashboard can be made later: Bokeh is installed and not in use."""
    if PAGES in sys.modules:
        return False
    try:
        bokeh = version("bokeh")
    except PackageNotFoundError:
        return False
    return BOKEH_REQUIREMENT.specifier.contains(bokeh, prereleases=True)


class LazyDashboard:
    """Stands in for the dashboard among the web applications of a scheduler.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        A scheduler that was made without its dashboard.
    prefix : str or None
        Prefix of every path.
    """

    def __init__(self, scheduler: Scheduler, prefix: str | None) -> None:
        self._scheduler = scheduler
        self._prefix = prefix
        self._application: Any = scheduler.http_application
        self._making: asyncio.Task[None] | None = None
        below = f"/{prefix.strip('/')}/" if prefix and prefix.strip("/") else "/"
        # Pages with their websockets and scripts, Bokeh's files, redirects to /status.
        self._paths = re.compile(
            rf"/|{re.escape(below.rstrip('/'))}/?"
            rf"|{re.escape(below)}([\w-]+(/ws|/autoload\.js|/metadata)?|static/.*)"
        )
        self._plots = below + "individual-plots.json"

    def __repr__(self) -> str:
        if self._making is None:
            state = "not requested"
        else:
            state = "made" if self._making.done() else "being made"
        return f"<{type(self).__name__}: {state}>"

    def install(self) -> None:
        """Answer requests for the dashboard until it is made."""
        # First, where upstream's dashboard would be: Jupyter's application, which comes
        # later, matches every path.
        self._application.applications.insert(0, self)
        # The list of all pages; this route comes before upstream's.
        route = (self._plots, _Plots, {"dashboard": self})
        self._application.add_handlers(r".*", [route])

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate | None:
        """Return a delegate that waits for the dashboard, if the path is a page's."""
        if self._paths.fullmatch(request.path):
            return _Waiting(self, request)
        return None

    async def make(self) -> None:
        """Import Bokeh in a thread, and replace this application by the dashboard."""
        if self._making is None:
            self._making = asyncio.create_task(self._make())
        try:
            # A request that is cancelled does not cancel this for the others.
            await asyncio.shield(self._making)
        except Exception:
            self._making = None  # the next request tries again
            raise

    async def _make(self) -> None:
        loop = asyncio.get_running_loop()
        pages = await loop.run_in_executor(None, importlib.import_module, PAGES)
        application, scheduler = self._application, self._scheduler
        if scheduler.status in (Status.closing, Status.closed):
            raise RuntimeError(f"{scheduler!r} was closed during the import of Bokeh")
        before = list(application.applications)
        pages.connect(
            application, scheduler.http_server, scheduler, prefix=self._prefix
        )
        place = before.index(self)
        made = application.applications[len(before) :]
        application.applications[:] = before[:place] + made + before[place + 1 :]
        link_page(scheduler)
        logger.info("The dashboard was made at the first request for a page")

    def route(
        self, request: httputil.HTTPServerRequest
    ) -> httputil.HTTPMessageDelegate:
        """Return the delegate for a request, once the dashboard is made."""
        return self._application.find_handler(request)

    def refuse(
        self, request: httputil.HTTPServerRequest
    ) -> httputil.HTTPMessageDelegate:
        """Return a delegate that answers 503: the dashboard can't be made."""
        return self._application.get_handler_delegate(
            request, web.ErrorHandler, {"status_code": 503}
        )


class _Waiting(httputil.HTTPMessageDelegate):
    """Holds a request until the dashboard is made, and passes it on."""

    #: Upstream's application ignores a delegate whose class is ErrorHandler.
    handler_class = web.RequestHandler

    def __init__(
        self, dashboard: LazyDashboard, request: httputil.HTTPServerRequest
    ) -> None:
        self._dashboard = dashboard
        self._request = request
        self._delegate: httputil.HTTPMessageDelegate | None = None

    async def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> None:
        try:
            await self._dashboard.make()
            self._delegate = self._dashboard.route(self._request)
        except Exception:
            logger.exception("The dashboard can't be made")
            self._delegate = self._dashboard.refuse(self._request)
        received = self._delegate.headers_received(start_line, headers)
        if received is not None:
            await received

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self._delegate is not None
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        assert self._delegate is not None
        self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()


class _Plots(IndividualPlots):
    """The list of pages, which needs the dashboard."""

    def initialize(self, dashboard: LazyDashboard) -> None:  # type: ignore[override]
        super().initialize(dask_server=dashboard._scheduler)
        self._dashboard = dashboard

    async def prepare(self) -> None:
        await self._dashboard.make()
