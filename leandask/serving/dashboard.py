"""LazyDashboard: the pages of the dashboard, made at the first request for one."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import dask.config
from distributed.core import Status
from distributed.http.utils import get_handlers
from distributed.versions import BOKEH_REQUIREMENT
from tornado import httputil, web

from leandask.serving.page import link_page

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from distributed import Scheduler

logger = logging.getLogger("leandask")

#: Upstream's module of the pages. It imports Bokeh and NumPy, which take 18 MB.
PAGES = "distributed.dashboard.scheduler"
#: Upstream's module of the page that stands in for them, if they can't be imported.
MISSING = "distributed.http.scheduler.missing_bokeh"
#: Key of the options of Bokeh's application. These two give it routes of any name.
OPTIONS = "distributed.scheduler.dashboard.bokeh-application"
WITH_ROUTES = ("auth_provider", "extra_patterns")
#: Upstream's routes that list the pages.
LISTS = ("/sitemap.json", "/individual-plots.json")


def can_wait() -> bool:
    """Whether the dashboard can be made later.

    Bokeh must be installed and not in use, and its application have no routes of any
    name.
    """
    if PAGES in sys.modules or set(WITH_ROUTES) & set(dask.config.get(OPTIONS)):
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
        # As they are at the start, when upstream reads them.
        self._options = dask.config.get(OPTIONS)
        below = re.escape(f"/{prefix.strip('/')}" if prefix else "").rstrip("/")
        # What Bokeh's application can have: redirects to /status, its icon and files,
        # and of each page its websocket, scripts and files.
        self._pages = re.compile(
            rf"({below})?/{{0,2}}|/favicon.ico|{below}/static/.*"
            rf"|{below}/[\w-]+(/|/ws|/metadata|/autoload.js|/static/.*)?"
        )
        self._lists = re.compile(rf"({below})?({'|'.join(LISTS)})")

    def __repr__(self) -> str:
        if self._making is None:
            state = "not requested"
        else:
            state = "made" if self._making.done() else "being made"
        return f"<{type(self).__name__}: {state}>"

    def install(self) -> None:
        """Answer requests for the dashboard until it is made."""
        self._application.find_handler = self.find_handler

    def find_handler(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate:
        """Find what answers a request; one for a page waits for the dashboard."""
        # The plain routes come before the dashboard, as upstream's.
        plain: Any = web.Application.find_handler(self._application, request, **kwargs)
        is_plain = not issubclass(plain.handler_class, web.ErrorHandler)
        paths = self._lists if is_plain else self._pages
        if paths.fullmatch(request.path):
            return _Waiting(self, request)
        return self.route(request, **kwargs)

    async def make(self) -> None:
        """Import Bokeh in a thread, and let the dashboard answer from now on."""
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
        try:
            pages = await loop.run_in_executor(None, importlib.import_module, PAGES)
        except ImportError as error:
            self._make_missing(error)
            return
        application, scheduler = self._application, self._scheduler
        if scheduler.status in (Status.closing, Status.closed):
            raise RuntimeError(f"{scheduler!r} was closed during the import of Bokeh")
        later = list(application.applications)
        with dask.config.set({OPTIONS: self._options}):
            pages.connect(
                application, scheduler.http_server, scheduler, prefix=self._prefix
            )
        # First, as upstream's: Jupyter's application, if any, matches every path.
        made = application.applications[len(later) :]
        application.applications[:] = made + later
        del application.find_handler
        link_page(scheduler)
        logger.info("The dashboard was made at the first request for a page")

    def _make_missing(self, error: ImportError) -> None:
        """Answer as upstream does without a Bokeh that it can use."""
        routes = get_handlers(self._scheduler, [MISSING], self._prefix)
        self._application.add_handlers(r".*", routes)
        del self._application.find_handler
        logger.warning("There is no dashboard: %s", error)

    def route(
        self, request: httputil.HTTPServerRequest, **kwargs: Any
    ) -> httputil.HTTPMessageDelegate:
        """Find what answers a request among all routes that there are."""
        application = self._application
        return type(application).find_handler(application, request, **kwargs)

    def refuse(
        self, request: httputil.HTTPServerRequest
    ) -> httputil.HTTPMessageDelegate:
        """Return a delegate that answers 503: the dashboard can't be made."""
        return self._application.get_handler_delegate(
            request, web.ErrorHandler, {"status_code": 503}
        )


class _Waiting(httputil.HTTPMessageDelegate):
    """Holds a request until the dashboard is made, and passes it on."""

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
