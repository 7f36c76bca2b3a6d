from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from functools import partial

import dask.config
import distributed
import pytest
from distributed import Client
from distributed.utils_test import gen_test
from packaging.version import Version
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from leandask import LeanScheduler
from leandask.serving import dashboard
from leandask.serving.dashboard import LazyDashboard, can_wait
from tests.helpers.processes import records_of, start_worker, wait_for

lean = partial(LeanScheduler, host="127.0.0.1", dashboard_address="127.0.0.1:0")


@pytest.fixture
def not_imported(monkeypatch):
    """As if no scheduler of this process had a dashboard."""
    monkeypatch.setattr(dashboard, "can_wait", lambda: True)
    monkeypatch.setattr("leandask.scheduler.can_wait", lambda: True)


def url(s, path, scheme="http"):
    return f"{scheme}://127.0.0.1:{s.http_server.port}{path}"


def get(s, path, **kwargs):
    return AsyncHTTPClient(force_instance=True).fetch(url(s, path), **kwargs)


def n_pages(s):
    return len([a for a in s.http_application.applications if hasattr(a, "app_paths")])


@gen_test()
async def test_the_first_request_of_a_page_is_answered_with_it(not_imported):
    async with lean() as s:
        assert n_pages(s) == 0
        assert s.services["dashboard"] is s.http_server
        response = await get(s, "/status", follow_redirects=False)
        assert response.code == 200
        assert b"Dask Diagnostic UI" in response.body
        assert n_pages(s) == 1
        assert not any(
            isinstance(app, LazyDashboard) for app in s.http_application.applications
        )


@gen_test()
async def test_an_application_that_knows_every_path_comes_after_it(not_imported):
    class Everything(web.RequestHandler):
        def get(self, path):
            self.write("everything")

    def add(self, *args):  # as upstream does with --jupyter
        self.http_application.add_application(web.Application([(r"(.*)", Everything)]))
        return LazyDashboard(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leandask.scheduler.LazyDashboard", add)
        s = LeanScheduler(host="127.0.0.1", dashboard_address="127.0.0.1:0")
    async with s:
        assert b"Dask Diagnostic UI" in (await get(s, "/status")).body
        assert (await get(s, "/jupyter/tree")).body == b"everything"


@pytest.mark.parametrize("path", ["/", "/workers", "/individual-task-stream"])
@gen_test()
async def test_any_page_may_be_the_first(not_imported, path):
    async with lean() as s:
        response = await get(s, path)
        assert response.code == 200
        assert b"bokeh" in response.body.lower()


@gen_test()
async def test_the_list_of_pages_is_whole(not_imported):
    async with lean() as s:
        names = json.loads((await get(s, "/individual-plots.json")).body)
        assert "Individual Task Stream" in names


@pytest.mark.parametrize(
    "path", ["/health", "/metrics", "/info/main/workers.html", "/json/counts.json"]
)
@gen_test()
async def test_plain_routes_need_no_page(not_imported, path):
    async with lean() as s:
        assert (await get(s, path)).code == 200
        assert n_pages(s) == 0


@pytest.mark.parametrize("path", ["/favicon.ico", "/wp-login.php", "/a/b/c"])
@gen_test()
async def test_what_can_be_no_page_makes_none(not_imported, path):
    async with lean() as s:
        with pytest.raises(HTTPClientError, match="404"):
            await get(s, path)
        assert n_pages(s) == 0


@gen_test()
async def test_an_unknown_page_is_not_found(not_imported):
    async with lean() as s:
        with pytest.raises(HTTPClientError, match="404"):
            await get(s, "/unknown")


@gen_test()
async def test_first_requests_at_one_time_make_one_dashboard(not_imported):
    async with lean() as s:
        paths = ["/status", "/tasks", "/status", "/graph", "/static/js/bokeh.min.js"]
        responses = await asyncio.gather(*(get(s, path) for path in paths))
        assert [r.code for r in responses] == [200] * 5
        assert n_pages(s) == 1


@gen_test()
async def test_pages_below_a_prefix(not_imported):
    async with lean(http_prefix="/my/cluster") as s:
        assert (await get(s, "/my/cluster/health")).code == 200
        for path in ("/status", "/my/other/status"):
            with pytest.raises(HTTPClientError, match="404"):
                await get(s, path)
        assert n_pages(s) == 0
        assert b"Dask Diagnostic UI" in (await get(s, "/my/cluster/status")).body
        response = await get(s, "/")
        assert response.effective_url.endswith("/my/cluster/status")


@gen_test()
async def test_the_link_of_a_client_leads_to_the_page(not_imported):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        response = await AsyncHTTPClient(force_instance=True).fetch(c.dashboard_link)
        assert b"Dask Diagnostic UI" in response.body


@gen_test()
async def test_a_websocket_may_come_first(not_imported):
    # As of a page that was open while the scheduler was started anew.
    async with lean() as s:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PULL, url(s, "/workers"), stdout=subprocess.PIPE
        )
        stdout, _ = await process.communicate()
        assert int(stdout) > 0


@gen_test()
async def test_pages_over_tls(not_imported, dashboard_tls):
    with dask.config.set(dashboard_tls):
        s = await lean()
    async with s:
        client = AsyncHTTPClient(force_instance=True)
        response = await client.fetch(url(s, "/status", "https"), validate_cert=False)
        assert b"Dask Diagnostic UI" in response.body


@gen_test()
async def test_a_dashboard_that_can_not_be_made_is_tried_again(
    not_imported, monkeypatch, caplog
):
    async with lean() as s:
        monkeypatch.setattr(dashboard, "PAGES", "leandask.no_such_module")
        with caplog.at_level(logging.ERROR, "leandask"):
            with pytest.raises(HTTPClientError, match="503"):
                await get(s, "/status")
        assert "The dashboard can't be made" in caplog.text
        monkeypatch.undo()
        assert (await get(s, "/status")).code == 200


@gen_test()
async def test_a_client_that_gives_up_leaves_the_others(not_imported):
    async with lean() as s:
        _, writer = await asyncio.open_connection("127.0.0.1", s.http_server.port)
        writer.write(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.close()
        assert (await get(s, "/status")).code == 200


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@gen_test()
async def test_where_bokeh_is_in_use_already_there_is_nothing_to_wait_for(mode):
    assert not can_wait()
    with dask.config.set({"leandask.dashboard": mode}):
        async with lean() as s:
            assert n_pages(s) == 1


@pytest.mark.parametrize(
    ("setting", "kwargs"), [("off", {}), (False, {}), ("lazy", {"dashboard": False})]
)
@gen_test()
async def test_off_has_no_pages_but_the_plain_routes(not_imported, setting, kwargs):
    with dask.config.set({"leandask.dashboard": setting}):
        async with lean(**kwargs) as s:
            assert (await get(s, "/health")).code == 200
            with pytest.raises(HTTPClientError, match="404"):
                await get(s, "/status")


def test_another_word_is_refused():
    with dask.config.set({"leandask.dashboard": "later"}):
        with pytest.raises(ValueError, match=r"leandask.dashboard must be one"):
            lean()


@pytest.mark.parametrize("installed", [None, "2.0.0"])
@gen_test()
async def test_without_a_fitting_bokeh_upstream_decides(monkeypatch, installed):
    def version(name):
        if installed is None:
            raise dashboard.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(dashboard, "version", version)
    monkeypatch.delitem(sys.modules, dashboard.PAGES)
    assert not can_wait()


def modules_of(process):
    # Of a running process only its maps tell, without a word from itself.
    with open(f"/proc/{process.popen.pid}/maps") as maps:
        return set(re.findall(r"site-packages/(\w+)/", maps.read()))


def test_a_real_scheduler_imports_bokeh_when_a_page_is_asked_for(start, tmp_path):
    process, file = start("--event-log", tmp_path / "events.jsonl")
    link = re.search(r"dashboard at:\s+(\S+)/status", process.stderr)[1]

    def fetch(path):
        return subprocess.run(
            [sys.executable, "-c", FETCH, link + path], capture_output=True, check=True
        ).stdout

    for path in ("/health", "/metrics", "/info/main/workers.html"):
        assert fetch(path)
    with start_worker(tmp_path, file):
        events = tmp_path / "events.jsonl"
        wait_for(lambda: events.exists() and "add-worker" in events.read_text())
    if Version(distributed.__version__) >= Version("2025.1"):  # before, upstream does
        assert not {"numpy", "pandas"} & modules_of(process)
    assert b"Dask Diagnostic UI" in fetch("/status")
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
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())
"""
