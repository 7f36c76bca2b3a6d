from __future__ import annotations

import base64
import hashlib
import html.parser
import importlib
import json
import re
import subprocess
import sys
import time

import dask.config
import pytest
from distributed import Client, Scheduler
from distributed.utils_test import gen_test
from tornado.httpclient import HTTPClientError

import leandask
from leandask import LeanScheduler, install
from leandask.serving.page import RSS_SAMPLES, read_page, rss_samples
from leandask.serving.report import report_of
from tests.helpers.browser import console, overflow, resize
from tests.helpers.processes import starting, wait_for
from tests.helpers.schedulers import (
    LOCAL,
    WITH_DASHBOARD,
    fetch,
    lean,
    lean_with_dashboard,
    n_dashboards,
)

HOSTILE = "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>"


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
async def test_they_do_not_make_a_lazy_dashboard(bokeh_not_in_use):
    async with lean_with_dashboard() as s:
        assert await is_served(s)
        assert n_dashboards(s) == 0


@pytest.mark.parametrize("dashboard", [True, False])
@gen_test()
async def test_a_scheduler_made_lean_by_install_has_them_too(dashboard):
    async with Scheduler(dashboard=dashboard, **WITH_DASHBOARD) as s:
        with pytest.raises(HTTPClientError, match="404"):
            await fetch(s, "/leandask")
        install(s)
        assert await is_served(s)


@pytest.mark.parametrize("prefix", ["/my/cluster", "my/cluster/"])
@pytest.mark.parametrize("kind", [LeanScheduler, Scheduler])
@gen_test()
async def test_they_have_the_http_prefix(kind, prefix):
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
async def test_they_are_not_served_without_upstreams_routes():
    routes = {"distributed.scheduler.http.routes": ["distributed.http.health"]}
    with dask.config.set(routes):
        async with lean() as s:
            assert (await fetch(s, "/health")).code == 200
            for path in ("/leandask", "/leandask.json"):
                with pytest.raises(HTTPClientError, match="404"):
                    await fetch(s, path)


@gen_test()
async def test_they_are_served_over_tls(dashboard_tls):
    with dask.config.set(dashboard_tls):
        s = await lean()
    async with s:
        assert await is_served(s, scheme="https", validate_cert=False)


@pytest.mark.parametrize("path", ["/leandask", "/leandask.json"])
@gen_test()
async def test_they_are_read_only(path):
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
async def test_headers_forbid_storing_and_guessing_the_type(path):
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


def test_the_page_has_no_foreign_links_and_no_inline_handlers():
    page = read_page()[0].decode()
    attributes = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            attributes.extend(attrs)

    Parser().feed(page)
    for name, value in attributes:
        assert not name.startswith("on"), name
        assert name != "style"
        if name in ("src", "href"):
            assert not value.startswith(("/", "http")), value
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval("):
        assert unsafe not in page


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
        print({"bokeh", "numpy", "pandas"} & set(sys.modules) or "none")
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


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A scheduler in another process, for all tests that do not stop it."""
    folder = tmp_path_factory.mktemp("served")
    with starting(folder) as start:
        yield start("--event-log", folder / "events.jsonl")


@pytest.fixture
def page(served, browser):
    """The page of a scheduler, in a browser."""
    yield from open_page(browser, *served)


@pytest.fixture
def own_page(start, browser):
    """The page of a scheduler that the test may stop."""
    yield from open_page(browser, *start())


def open_page(browser, process, file):
    link = re.search(r"dashboard at:\s+(\S+)/status", process.stderr)[1]
    with Client(scheduler_file=str(file)) as client:
        browser.get(f"{link}/leandask")
        yield browser, client, process
        browser.get("about:blank")  # so that it stops asking for reports


def text(browser, history, field):
    return browser.execute_script(
        "return document.querySelector(`[data-history='${arguments[0]}'] "
        "[data-field='${arguments[1]}']`)?.textContent",
        history,
        field,
    )


def number(browser, history, field):
    return int((text(browser, history, field) or "-1").split("/")[0].replace(",", ""))


def shown(browser, name):
    """Return the visible text of an element."""
    return browser.find_element("id", name).text


def test_the_page_shows_the_figures_of_the_report_and_updates_itself(page):
    browser, client, _ = page
    wait_for(lambda: shown(browser, "state") == "live")
    before = leandask.get_report(client)
    for _ in range(1234):
        client.log_event(HOSTILE[0], {"action": HOSTILE[1]})
    seen = before["histories"]["events"]["seen"] + 1234
    wait_for(lambda: leandask.get_report(client)["histories"]["events"]["seen"] == seen)
    wait_for(lambda: number(browser, "events", "seen") == seen)
    client.log_event("x", 1)  # shown without a reload
    wait_for(lambda: number(browser, "events", "seen") == seen + 1)
    report = leandask.get_report(client)
    for name, history in report["histories"].items():
        if name in ("topics", "events", "transition-log", "locks", "spans"):
            assert number(browser, name, "kept") == history["kept"], name
            gone = history["seen"] - history["kept"]
            assert number(browser, name, "evicted") == gone, name
    assert text(browser, "topics", "kept").endswith(" / 1,000")
    assert "MiB" in shown(browser, "rss")
    assert shown(browser, "log-path").endswith("events.jsonl")
    assert report["versions"]["distributed"] in shown(browser, "versions")
    assert console(browser) == []


def test_html_in_a_message_is_shown_as_text(page):
    browser, client, _ = page
    warn(client, "".join(HOSTILE))
    browser.refresh()  # sooner than its next update
    wait_for(lambda: "</script>" in shown(browser, "warnings"))
    assert "".join(HOSTILE) in shown(browser, "warnings")
    assert browser.find_elements("css selector", "img") == []
    assert len(browser.find_elements("css selector", "script")) == 1
    assert console(browser) == []


def warn(client, message):
    # A lambda is pickled by value: the scheduler can't import the tests.
    client.run_on_scheduler(
        lambda dask_scheduler: dask_scheduler.stream.life("test", message, {}, 30)
    )


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_page(page, width):
    browser, client, _ = page
    warn(client, "x" * 249)
    browser.refresh()
    resize(browser, width)
    wait_for(lambda: "xxx" in shown(browser, "warnings"))
    assert browser.execute_script("return innerWidth") == width
    assert overflow(browser) <= 0


def test_bars_and_tables_have_names_for_screen_readers(page):
    browser, _, _ = page
    wait_for(lambda: shown(browser, "state") == "live")
    meters = browser.find_elements("css selector", "[role=meter]")
    assert len(meters) == 17
    for meter in meters:
        assert meter.get_attribute("aria-label")
        now, most = (
            float(meter.get_attribute(f"aria-value{n}")) for n in ("now", "max")
        )
        assert 0 <= now <= most
        assert " of " in meter.get_attribute("aria-valuetext")
    tables = browser.find_elements("css selector", "#histories table")
    assert [table.aria_role for table in tables] == ["table"]
    assert tables[0].accessible_name == "Histories"


def test_the_page_says_when_the_scheduler_is_not_reachable(own_page):
    browser, client, process = own_page
    wait_for(lambda: shown(browser, "state") == "live")
    # A scheduler that does not answer: the page must not wait forever.
    browser.execute_cdp_cmd("Network.enable", {})
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    command = "Network.emulateNetworkConditions"
    try:
        browser.execute_cdp_cmd(command, {"offline": True, **offline})
        wait_for(lambda: shown(browser, "lost").startswith("Not reachable since "))
        assert shown(browser, "state") == "not reachable"
    finally:
        browser.execute_cdp_cmd(command, {"offline": False, **offline})
    wait_for(lambda: shown(browser, "state") == "live")
    assert shown(browser, "lost") == ""
    client.close()
    process.stop()
    wait_for(lambda: shown(browser, "lost").startswith("Not reachable since "))
