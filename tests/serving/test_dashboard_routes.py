"""Every route of upstream is answered the same, also by the first request."""

from __future__ import annotations

import os
import re
import sys
from urllib.request import urlopen

import dask.config
import pytest
from distributed import Scheduler
from distributed.utils_test import gen_test
from distributed.versions import BOKEH_REQUIREMENT
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.httputil import HTTPServerRequest, RequestStartLine
from tornado.routing import PathMatches, RuleRouter
from tornado.websocket import websocket_connect

from leandask.serving.dashboard import (
    MISSING,
    OPTIONS,
    PAGES,
    WITH_ROUTES,
    _Waiting,
    can_wait,
)
from tests.helpers.schedulers import (
    WITH_DASHBOARD,
    fetch,
    forget_pages,
    lean_with_dashboard,
    url_of,
)

ROUTES = "distributed.scheduler.http.routes"
#: What a group of a route's pattern is replaced by.
GROUPS = {r"(\d+)": "1", "(.*?)": "x", "(.*)": "js/bokeh.min.js"}
#: The page that is made fastest.
PAGE = "/counters"
#: Paths of different kinds. The nightly test asks for all.
KINDS = [
    *("/", "//", PAGE + "/?theme=dark", PAGE + "/ws", PAGE + "/metadata"),
    *("/favicon.ico", "/sitemap.json", "/individual-plots.json", "/unknown/"),
]
PREFIX = "/my/cluster"
PREFIXED = ["/", PAGE, PREFIX, PREFIX + PAGE + "/", PREFIX + "/individual-plots.json"]


def patterns_of(router):
    """Yield the pattern of each path that a router and those below it answer."""
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from patterns_of(rule.target)
        elif isinstance(rule.matcher, PathMatches):
            yield rule.matcher.regex.pattern.rstrip("$")


def paths_of(scheduler):
    """Return paths for all routes of a scheduler, with and without their slash."""
    application = scheduler.http_application
    paths = set()
    for each in (application, *application.applications):
        for router in (each.default_router, each.wildcard_router):
            for pattern in patterns_of(router):
                for group, text in GROUPS.items():
                    pattern = pattern.replace(group, text)
                path = pattern.removesuffix("/?")
                paths |= {path, path + "/"}
    return sorted(paths - {""})


def find(scheduler, path):
    """Return the handler of a path with its arguments, or what waits for it."""
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", path, "HTTP/1.1"), headers={"Host": "x"}
    )
    delegate = scheduler.http_application.find_handler(request)
    if isinstance(delegate, _Waiting):
        return delegate
    return delegate.handler_class, delegate.path_args


async def answer(scheduler, path, method="GET"):
    """Return what upstream and we have to agree upon."""
    response = await fetch(
        scheduler,
        path,
        method=method,
        connect_timeout=120,
        request_timeout=120,  # /hardware measures the machine
        follow_redirects=False,
        raise_error=False,
        allow_nonstandard_methods=True,
    )
    title = re.search(rb"<title>(.*?)</title>", response.body or b"")
    return path, response.code, response.headers.get("Location"), title and title[1]


async def assert_cold_answer_equals(upstream, path, monkeypatch, prefix="/", **kwargs):
    """Assert that we answer the first request as upstream."""
    forget_pages(monkeypatch)
    async with lean_with_dashboard(http_prefix=prefix) as s:
        assert "find_handler" in vars(s.http_application)
        expected = await answer(upstream, path, **kwargs)
        assert await answer(s, path, **kwargs) == expected


@pytest.mark.parametrize("prefix", ["/", None, "/my/cluster/"])
@gen_test()
async def test_a_request_waits_for_the_dashboard_if_it_answers_it(
    bokeh_not_in_use, monkeypatch, prefix
):
    async with Scheduler(**WITH_DASHBOARD, http_prefix=prefix) as upstream:
        paths = paths_of(upstream)
        assert len(paths) > 300
        forget_pages(monkeypatch)
        async with lean_with_dashboard(http_prefix=prefix) as s:
            cold = {path: find(s, path) for path in paths}
            await s.http_application.find_handler.__self__.make()
            for path, handler in cold.items():
                if isinstance(handler, _Waiting):
                    handler = find(s, path)
                assert (path, handler) == (path, find(upstream, path))


@pytest.mark.parametrize(("prefix", "paths"), [("/", KINDS), (PREFIX, PREFIXED)])
@gen_test(timeout=100)
async def test_the_first_request_is_answered_as_by_upstream(
    bokeh_not_in_use, monkeypatch, prefix, paths
):
    async with Scheduler(**WITH_DASHBOARD, http_prefix=prefix) as upstream:
        for path in paths:
            await assert_cold_answer_equals(upstream, path, monkeypatch, prefix)


@pytest.mark.parametrize("method", ["HEAD", "POST"])
@gen_test()
async def test_the_first_request_may_have_any_method(
    bokeh_not_in_use, monkeypatch, method
):
    async with Scheduler(**WITH_DASHBOARD) as upstream:
        for path in ("/", PAGE + "/"):
            await assert_cold_answer_equals(upstream, path, monkeypatch, method=method)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@gen_test(timeout=900)
async def test_each_route_is_answered_as_by_upstream(bokeh_not_in_use, monkeypatch):
    async with Scheduler(**WITH_DASHBOARD) as upstream:
        for path in paths_of(upstream):
            await assert_cold_answer_equals(upstream, path, monkeypatch)


@gen_test()
async def test_pages_have_the_options_that_were_configured_at_the_start(
    bokeh_not_in_use,
):
    options = {**dask.config.get(OPTIONS), "allow_websocket_origin": ["known.example"]}
    with dask.config.set({OPTIONS: options}):
        s = await lean_with_dashboard()
    async with s:
        url = url_of(s, PAGE + "/ws", "ws")
        request = HTTPRequest(url, headers={"Origin": "http://unknown.example"})
        with pytest.raises(HTTPClientError, match="403"):
            await websocket_connect(request)


@pytest.mark.parametrize("option", WITH_ROUTES)
def test_an_option_with_routes_of_its_own_makes_the_dashboard_at_the_start(
    bokeh_not_in_use, option
):
    with dask.config.set({OPTIONS: {**dask.config.get(OPTIONS), option: []}}):
        assert not can_wait()
    assert can_wait()


@gen_test(timeout=100)
async def test_without_bokeh_each_route_is_answered_as_by_upstream(
    bokeh_not_in_use, monkeypatch, caplog
):
    for prefix, paths in (("/", KINDS), (PREFIX, PREFIXED)):
        monkeypatch.setitem(sys.modules, PAGES, None)  # its import fails
        # Upstream changes the list in the configuration.
        with dask.config.set({ROUTES: [*dask.config.get(ROUTES)]}):
            upstream = Scheduler(**WITH_DASHBOARD, http_prefix=prefix)
        async with upstream:
            assert MISSING in str(find(upstream, prefix.rstrip("/") + "/status")[0])
            for path in [
                *paths,
                *map(prefix.rstrip("/").__add__, ["/status", "/status/"]),
            ]:
                forget_pages(monkeypatch)
                async with lean_with_dashboard(http_prefix=prefix) as s:
                    monkeypatch.setitem(sys.modules, PAGES, None)
                    assert await answer(s, path) == await answer(upstream, path)


@pytest.mark.parametrize("code", ["__version__ = '99.0'", "raise ImportError('no')"])
def test_a_scheduler_with_a_bokeh_that_it_cannot_use_says_so(start, tmp_path, code):
    # The version in the metadata is that of the Bokeh that is installed.
    (tmp_path / "bokeh").mkdir()
    (tmp_path / "bokeh" / "__init__.py").write_text(code)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    process, _ = start(PYTHONPATH=path)
    link = re.search(r"dashboard at:\s+(\S+)", process.stderr)[1]
    with urlopen(link) as response:
        page = response.read().decode()
    assert f"Dask needs {BOKEH_REQUIREMENT}" in page
    assert "There is no dashboard" in process.stderr
