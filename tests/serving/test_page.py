"""The page and the report over HTTP: where they are served, headers, the menu."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re
import subprocess
import sys
import time

import dask.config
import pytest
from distributed import Scheduler
from distributed.utils_test import gen_test
from tornado.httpclient import HTTPClientError

from leandask import LeanScheduler, install
from leandask.serving.page import RSS_SAMPLES, rss_samples
from leandask.serving.report import report_of
from tests.helpers.schedulers import (
    LOCAL,
    WITH_DASHBOARD,
    fetch,
    lean,
    lean_with_dashboard,
    n_dashboards,
)


async def is_served(s, prefix="/", **kwargs):
    page = await fetch(s, f"{prefix}leandask", **kwargs)
    report = json.loads((await fetch(s, f"{prefix}leandask.json", **kwargs)).body)
    return b"<title>leandask</title>" in page.body and report["scheduler_id"] == s.id


@pytest.mark.parametrize("mode", ["eager", "off"])
@gen_test()
async def test_the_page_and_the_report_need_no_dashboard(mode):
    with dask.config.set({"leandask.dashboard": mode}):
        async with lean_with_dashboard() as s:
            assert await is_served(s)
            assert n_dashboards(s) == (mode == "eager")


@gen_test()
async def test_the_page_and_the_report_make_no_lazy_dashboard(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        assert await is_served(s)
        assert n_dashboards(s) == 0


@pytest.mark.parametrize("dashboard", [True, False])
@gen_test()
async def test_install_adds_the_page_and_the_report(dashboard):
    async with Scheduler(dashboard=dashboard, **WITH_DASHBOARD) as s:
        with pytest.raises(HTTPClientError, match="404"):
            await fetch(s, "/leandask")
        install(s)
        assert await is_served(s)


@pytest.mark.parametrize("prefix", ["/my/cluster", "my/cluster/"])
@pytest.mark.parametrize("kind", [LeanScheduler, Scheduler])
@gen_test()
async def test_the_page_and_the_report_have_the_http_prefix(kind, prefix):
    async with kind(http_prefix=prefix, **WITH_DASHBOARD) as s:
        install(s)
        assert await is_served(s, "/my/cluster/")
        with pytest.raises(HTTPClientError, match="404"):
            await fetch(s, "/leandask.json")


@gen_test()
async def test_the_prefix_is_found_if_the_user_has_few_routes():
    routes = {"distributed.scheduler.http.routes": ["distributed.http.scheduler.info"]}
    with dask.config.set(routes):
        async with lean(http_prefix="/x") as s:
            assert await is_served(s, "/x/")
    routes["distributed.scheduler.http.routes"] = ["distributed.http.scheduler.json"]
    with dask.config.set(routes):
        async with lean() as s:
            assert await is_served(s)


@gen_test()
async def test_the_page_and_the_report_need_upstreams_routes():
    routes = {"distributed.scheduler.http.routes": ["distributed.http.health"]}
    with dask.config.set(routes):
        async with lean() as s:
            assert (await fetch(s, "/health")).code == 200
            for path in ("/leandask", "/leandask.json"):
                with pytest.raises(HTTPClientError, match="404"):
                    await fetch(s, path)


@gen_test()
async def test_the_page_and_the_report_are_served_over_tls(dashboard_tls):
    with dask.config.set(dashboard_tls):
        s = await lean()
    async with s:
        assert await is_served(s, scheme="https", validate_cert=False)


@pytest.mark.parametrize("path", ["/leandask", "/leandask.json"])
@gen_test()
async def test_the_page_and_the_report_are_read_only(path):
    async with lean() as s:
        answer = await fetch(s, path)
        head = await fetch(s, path, method="HEAD")
        assert head.body == b""
        length = int(head.headers["Content-Length"])
        assert length == pytest.approx(len(answer.body), rel=0.1)
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            body = None if method in ("DELETE", "OPTIONS") else ""
            with pytest.raises(HTTPClientError, match="405"):
                await fetch(s, path, method=method, body=body)


@pytest.mark.parametrize("path", ["/leandask", "/leandask.json"])
@gen_test()
async def test_headers_forbid_caching_and_sniffing_of_the_type(path):
    async with lean() as s:
        headers = (await fetch(s, path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Etag" not in headers
        kind = "application/json" if path.endswith("json") else "text/html"
        assert headers["Content-Type"] == f"{kind}; charset=UTF-8"


@gen_test()
async def test_the_policy_allows_only_the_style_and_script_of_the_page():
    async with lean() as s:
        page = await fetch(s, "/leandask")
    policy = dict(
        directive.split(" ", 1)
        for directive in page.headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["base-uri"] == "'none'"
    assert policy["connect-src"] == policy["frame-ancestors"] == "'self'"
    for tag in ("style", "script"):
        [content] = re.findall(rf"<{tag}>(.*?)</{tag}>", page.body.decode(), re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in str(policy)


@gen_test()
async def test_the_report_has_the_last_memory_samples():
    async with lean() as s:
        for _ in range(3):
            s.monitor.update()
        s.periodic_callbacks["monitor"].stop()
        answer = json.loads((await fetch(s, "/leandask.json")).body)
        samples = answer.pop("rss_samples")
        assert len(samples) >= 4
        assert samples == sorted(samples)
        assert all(abs(t - time.time()) < 60 and rss > 2**20 for t, rss in samples)
        assert samples[-1][1] == s.monitor.quantities["memory"][-1]
        assert set(answer) == set(report_of(s))


@gen_test()
async def test_only_the_last_minutes_of_memory_samples_are_sent():
    async with lean(retention={"samples": None}) as s:
        for name in ("time", "memory"):
            s.monitor.quantities[name].extend(range(RSS_SAMPLES + 100))
        samples = rss_samples(s.monitor)
        assert len(samples) == RSS_SAMPLES
        assert samples[-1] == (RSS_SAMPLES + 99, RSS_SAMPLES + 99)


@gen_test()
async def test_a_report_that_fails_is_a_server_error_and_no_more(monkeypatch):
    async with lean() as s:
        monkeypatch.setattr(s.monitor, "get_process_memory", lambda: 1 / 0)
        with pytest.raises(HTTPClientError, match="500"):
            await fetch(s, "/leandask.json")
        assert (await fetch(s, "/health")).code == 200


async def menu(s, prefix="/"):
    page = (await fetch(s, f"{prefix}status")).body.decode()
    return re.findall(r'<a href="([\w-]+)">(\w+)</a>', page)


@gen_test()
async def test_the_menu_of_a_dashboard_has_the_page():
    with dask.config.set({"leandask.dashboard": "eager"}):
        async with lean_with_dashboard() as s:
            assert n_dashboards(s) == 1
            assert (await menu(s)).count(("leandask", "Leandask")) == 1


@gen_test()
async def test_the_menu_of_a_lazy_dashboard_has_the_page(bokeh_not_in_use):
    async with lean_with_dashboard(http_prefix="/x") as s:
        assert (await menu(s, "/x/")).count(("leandask", "Leandask")) == 1


@gen_test()
async def test_the_menu_of_a_running_scheduler_gets_the_page():
    async with Scheduler(**WITH_DASHBOARD) as s, Scheduler(**WITH_DASHBOARD) as other:
        install(s)
        assert (await menu(s)).count(("leandask", "Leandask")) == 1
        assert ("leandask", "Leandask") not in await menu(other)


@gen_test()
async def test_no_menu_is_made_for_a_scheduler_without_a_dashboard(monkeypatch):
    # The menu would never be forgotten, nor its scheduler.
    def refuse(scheduler):
        raise AssertionError

    async with Scheduler(**LOCAL) as s:
        pages = "distributed.dashboard.scheduler"
        importlib.import_module(pages)
        monkeypatch.setattr(sys.modules[pages], "template_variables", refuse)
        install(s)
        assert await is_served(s)


def test_neither_bokeh_nor_the_page_is_loaded_before_it_is_requested():
    code = """
import asyncio, sys
from tornado.httpclient import AsyncHTTPClient
from leandask import LeanScheduler
from leandask.serving.page import read_page
async def main():
    s = LeanScheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0")
    async with s:
        print(read_page.cache_info().currsize)
        modules = {f"leandask.serving.{name}" for name in ("report", "metrics")}
        print(modules & set(sys.modules) or "none")
        url = f"http://127.0.0.1:{s.http_server.port}/leandask"
        for path in ("", ".json"):
            print((await AsyncHTTPClient().fetch(url + path)).code)
        print(read_page.cache_info().currsize)
        print({"bokeh", "jinja2", "numpy", "pandas"} & set(sys.modules) or "none")
asyncio.run(main())
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    if not dask_imports_numpy():
        assert answer.stdout.split() == ["0", "none", "200", "200", "1", "none"]


def dask_imports_numpy():
    code = "import distributed, sys; print('numpy' in sys.modules)"
    command = [sys.executable, "-c", code]
    return b"True" in subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize("prefix", ["", "/my/cluster"])
@gen_test()
async def test_methods_and_slashes_are_answered_as_for_upstreams_pages(prefix):
    async with lean(http_prefix=prefix or "/") as s:

        async def status(path, method):
            response = await fetch(
                s,
                f"{prefix}{path}",
                method=method,
                raise_error=False,
                allow_nonstandard_methods=True,
            )
            return response.code

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            upstream = await status("/json/counts.json", method)
            for path in ("/leandask", "/leandask.json", "/leandask?theme=dark"):
                assert await status(path, method) == upstream
        assert await status("/leandask", "HEAD") == 200
        # As the dashboard's pages do.
        page = await fetch(s, f"{prefix}/leandask/")
        assert page.effective_url.endswith(f"{prefix}/leandask")
        assert b"<title>leandask</title>" in page.body
