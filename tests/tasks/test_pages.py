"""Every page of the dashboard shows lean tasks, in a real browser."""

from __future__ import annotations

import asyncio

import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test
from tornado.httpclient import AsyncHTTPClient

from leandask.tasks.taskstate import LeanTaskState
from tests.helpers.browser import console
from tests.helpers.schedulers import WITH_DASHBOARD, lean_with_dashboard, until, url_of
from tests.tasks.scenarios.cluster import inc, wrong

#: What Chromium says of every page of upstream's, whatever is shown.
HARMLESS = ("favicon", "Slow network", "deprecat")

WATCHED = [
    "/info/main/workers.html",
    "/info/task/{task}.html",
    "/info/worker/{worker}.html",
    "/json/counts.json",
    "/json/identity.json",
    "/metrics",
]


def look_at(driver, url):
    """Open a page; return what it says that something failed."""
    driver.get(url)
    if "bokeh" in driver.page_source.lower():
        is_drawn = "return typeof Bokeh != 'undefined' && Bokeh.documents.length > 0"
        driver.set_script_timeout(30)
        driver.execute_async_script(
            "const done = arguments[0];"
            f"const look = () => (() => {{ {is_drawn} }})() ? done() : "
            "setTimeout(look, 50); look();"
        )
    return [m for m in console(driver) if not any(h in m for h in HARMLESS)]


@pytest.mark.nightly
@pytest.mark.timeout(600)
@gen_test(timeout=600)
async def test_every_page_shows_lean_tasks(browser, caplog):
    async with (
        lean_with_dashboard(validate=True) as s,
        Worker(s.address, nthreads=1, validate=True),
        Client(s.address, asynchronous=True) as c,
    ):
        done = c.map(inc, range(10))
        erred = c.submit(wrong, done[0])
        restricted = c.submit(inc, 1, workers=["tcp://127.0.0.9:9"])
        waiting = c.submit(inc, restricted)
        await until(lambda: len(s.tasks) == 13 and not s.queued)
        await c.gather(done)
        await until(lambda: s.tasks[erred.key].state == "erred")
        assert {type(ts) for ts in s.tasks.values()} == {LeanTaskState}
        plots = await AsyncHTTPClient().fetch(url_of(s, "/individual-plots.json"))
        assert plots.code == 200
        applications = s.http_application.applications
        paths = {p for each in applications for p in getattr(each, "app_paths", ())}
        assert len(paths) > 40
        others = [
            each.format(
                task=done[0].key, worker=next(iter(s.workers)).replace("/", "%2F")
            )
            for each in WATCHED
        ]
        for path in [*sorted(paths), *others]:
            said = await asyncio.to_thread(look_at, browser, url_of(s, path))
            assert not said, f"{path}: {said}"
        browser.get("about:blank")
        del waiting
    assert WITH_DASHBOARD
    assert not [r for r in caplog.records if r.levelname == "ERROR"]
