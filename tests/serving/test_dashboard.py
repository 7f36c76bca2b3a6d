from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
import subprocess
import sys
from types import SimpleNamespace

import dask.config
import distributed
import pytest
from distributed import Client
from distributed.utils_test import gen_test
from packaging.version import Version
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from leandask.serving.dashboard import PAGES, LazyDashboard, can_wait
from tests.helpers.processes import records_of, start_worker, wait_for
from tests.helpers.schedulers import (
    fetch,
    lean,
    lean_with_dashboard,
    n_dashboards,
    url_of,
)


@gen_test()
async def test_the_first_request_for_a_page_is_answered(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        assert n_dashboards(s) == 0
        assert s.services["dashboard"] is s.http_server
        response = await fetch(s, "/status", follow_redirects=False)
        assert response.code == 200
        assert b"Dask Diagnostic UI" in response.body
        assert n_dashboards(s) == 1
        assert "find_handler" not in vars(s.http_application)


@gen_test()
async def test_an_application_that_matches_every_path_comes_after_the_dashboard(
    bokeh_not_in_use,
):
    class Everything(web.RequestHandler):
        def get(self, path):
            self.write("everything")

    s = lean()
    everything = web.Application([(r"(.*)", Everything)])
    s.http_application.add_application(everything)  # as upstream does with --jupyter
    LazyDashboard(s, "/").install()
    async with s:
        assert b"Dask Diagnostic UI" in (await fetch(s, "/status")).body
        assert (await fetch(s, "/jupyter/tree")).body == b"everything"


@pytest.mark.parametrize("path", ["/", "/workers", "/individual-task-stream"])
@gen_test()
async def test_any_page_may_be_the_first(bokeh_not_in_use, path):
    async with lean_with_dashboard() as s:
        response = await fetch(s, path)
        assert response.code == 200
        assert b"bokeh" in response.body.lower()


@gen_test()
async def test_the_list_of_pages_is_complete(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        names = json.loads((await fetch(s, "/individual-plots.json")).body)
        assert "Individual Task Stream" in names


@pytest.mark.parametrize(
    "path", ["/health", "/metrics", "/info/main/workers.html", "/json/counts.json"]
)
@gen_test()
async def test_plain_routes_make_no_dashboard(bokeh_not_in_use, path):
    async with lean_with_dashboard() as s:
        assert (await fetch(s, path)).code == 200
        assert n_dashboards(s) == 0


@pytest.mark.parametrize("path", ["/robots.txt", "/wp-login.php", "/a/b/c"])
@gen_test()
async def test_a_path_that_is_not_a_page_makes_no_dashboard(bokeh_not_in_use, path):
    async with lean_with_dashboard() as s:
        with pytest.raises(HTTPClientError, match="404"):
            await fetch(s, path)
        assert n_dashboards(s) == 0


@gen_test()
async def test_an_unknown_page_is_not_found(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        with pytest.raises(HTTPClientError, match="404"):
            await fetch(s, "/unknown")


@gen_test()
async def test_concurrent_first_requests_make_one_dashboard(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        paths = ["/status", "/tasks", "/status", "/graph", "/static/js/bokeh.min.js"]
        responses = await asyncio.gather(*(fetch(s, path) for path in paths))
        assert [r.code for r in responses] == [200] * 5
        assert n_dashboards(s) == 1


@gen_test()
async def test_pages_have_the_http_prefix(bokeh_not_in_use):
    async with lean_with_dashboard(http_prefix="/my/cluster") as s:
        assert (await fetch(s, "/my/cluster/health")).code == 200
        for path in ("/status", "/my/other/status"):
            with pytest.raises(HTTPClientError, match="404"):
                await fetch(s, path)
        assert n_dashboards(s) == 0
        assert b"Dask Diagnostic UI" in (await fetch(s, "/my/cluster/status")).body
        response = await fetch(s, "/")
        assert response.effective_url.endswith("/my/cluster/status")


@gen_test()
async def test_the_link_of_a_client_leads_to_the_page(bokeh_not_in_use):
    async with lean_with_dashboard() as s, Client(s.address, asynchronous=True) as c:
        response = await AsyncHTTPClient(force_instance=True).fetch(c.dashboard_link)
        assert b"Dask Diagnostic UI" in response.body


@gen_test()
async def test_a_websocket_may_be_the_first_request(bokeh_not_in_use):
    # As from a page that stayed open while the scheduler was restarted.
    async with lean_with_dashboard() as s:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PULL, url_of(s, "/workers"), stdout=subprocess.PIPE
        )
        stdout, _ = await process.communicate()
        assert int(stdout) > 0


@gen_test()
async def test_pages_are_served_over_tls(bokeh_not_in_use, dashboard_tls):
    with dask.config.set(dashboard_tls):
        s = await lean_with_dashboard()
    async with s:
        response = await fetch(s, "/status", "https", validate_cert=False)
        assert b"Dask Diagnostic UI" in response.body


@gen_test()
async def test_a_dashboard_that_fails_is_tried_again_at_the_next_request(
    bokeh_not_in_use, monkeypatch, caplog
):
    async with lean_with_dashboard() as s:
        broken = SimpleNamespace(connect=lambda *args, **kwargs: 1 / 0)
        monkeypatch.setitem(sys.modules, PAGES, broken)
        with caplog.at_level(logging.ERROR, "leandask"):
            with pytest.raises(HTTPClientError, match="503"):
                await fetch(s, "/status")
        assert "The dashboard can't be made" in caplog.text
        monkeypatch.delitem(sys.modules, PAGES)
        assert (await fetch(s, "/status")).code == 200


@gen_test()
async def test_a_client_that_disconnects_does_not_cancel_the_others(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        _, writer = await asyncio.open_connection("127.0.0.1", s.http_server.port)
        writer.write(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.close()
        assert (await fetch(s, "/status")).code == 200


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@gen_test()
async def test_the_dashboard_is_made_at_once_if_bokeh_is_already_imported(mode):
    importlib.import_module(PAGES)
    assert not can_wait()
    with dask.config.set({"leandask.dashboard": mode}):
        async with lean_with_dashboard() as s:
            assert n_dashboards(s) == 1


@pytest.mark.parametrize(
    ("setting", "kwargs"), [("off", {}), (False, {}), ("lazy", {"dashboard": False})]
)
@gen_test()
async def test_off_leaves_only_the_plain_routes(bokeh_not_in_use, setting, kwargs):
    with dask.config.set({"leandask.dashboard": setting}):
        async with lean_with_dashboard(**kwargs) as s:
            assert (await fetch(s, "/health")).code == 200
            with pytest.raises(HTTPClientError, match="404"):
                await fetch(s, "/status")


def test_another_value_of_the_setting_is_refused():
    with dask.config.set({"leandask.dashboard": "later"}):
        with pytest.raises(ValueError, match=r"leandask.dashboard must be one"):
            lean_with_dashboard()


@pytest.mark.parametrize("installed", [None, "2.0.0"])
def test_without_a_supported_bokeh_upstream_decides(
    bokeh_not_in_use, monkeypatch, tmp_path, installed
):
    assert can_wait()
    if installed is not None:
        dist = tmp_path / "bokeh.dist-info"
        dist.mkdir()
        (dist / "METADATA").write_text(f"Name: bokeh\nVersion: {installed}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # where packages are looked up
    assert not can_wait()


def modules_of(process):
    # The memory maps of a process name its libraries without its help.
    with open(f"/proc/{process.popen.pid}/maps") as maps:
        return set(re.findall(r"site-packages/(\w+)/", maps.read()))


def test_a_scheduler_imports_bokeh_at_the_first_request_for_a_page(start, tmp_path):
    process, file = start("--event-log", tmp_path / "events.jsonl")
    link = re.search(r"dashboard at:\s+(\S+)/status", process.stderr)[1]

    def read(*paths):
        urls = [link + path for path in paths]
        return subprocess.run(
            [sys.executable, "-c", FETCH, *urls], capture_output=True, check=True
        ).stdout

    for path in ("/health", "/metrics", "/info/main/workers.html"):
        assert read(path)
    with start_worker(tmp_path, file):
        events = tmp_path / "events.jsonl"
        wait_for(lambda: events.exists() and "add-worker" in events.read_text())
    if Version(distributed.__version__) >= Version("2025.1"):  # before, upstream does
        assert not {"numpy", "pandas"} & modules_of(process)
    pages = ["/counters/", "/counters", "/individual-exceptions/"]
    # All at once, while Bokeh is imported.
    assert read(*pages, "/favicon.ico").count(b"</html>") == len(pages)
    assert "numpy" in modules_of(process)
    assert process.stop() == 0
    assert records_of(events)


PULL = """
import sys
from bokeh.client import pull_session
print(len(pull_session(url=sys.argv[1]).document.roots))
"""
FETCH = """
import sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(10) as pool:
    for response in pool.map(urllib.request.urlopen, sys.argv[1:]):
        sys.stdout.buffer.write(response.read())
"""
