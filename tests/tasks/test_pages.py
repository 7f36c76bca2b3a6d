"""Every page of the dashboard shows lean tasks, in a real browser."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test
from selenium.common.exceptions import TimeoutException
from tornado.httpclient import AsyncHTTPClient

from leandask.tasks.taskstate import LeanTaskState
from tests.helpers.schedulers import lean_with_dashboard, until, url_of
from tests.tasks.scenarios.cluster import inc, wrong

OTHERS = [
    "/info/main/workers.html",
    "/info/task/{task}.html",
    "/info/worker/{worker}.html",
    "/json/counts.json",
    "/json/identity.json",
    "/metrics",
]

#: Whether a page of Bokeh has drawn its plots.
IS_DRAWN = "typeof Bokeh != 'undefined' && Bokeh.documents.length > 0"
WAIT = f"""
    const done = arguments[0];
    const look = () => ({IS_DRAWN}) ? done() : setTimeout(look, 50);
    look()
"""


def look_at(driver, url, has_plots):
    """Open a page; return the errors in its console."""
    driver.get(url)
    if has_plots:
        driver.set_script_timeout(30)
        try:
            driver.execute_async_script(WAIT)
        except TimeoutException:
            return ["no plot was drawn"]
    errors = [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]
    return [each for each in errors if "favicon" not in each]


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
        waiting = c.submit(sum, [restricted])  # a group of its own: /groups needs it
        await until(lambda: len(s.tasks) == 13 and not s.queued)
        await c.gather(done)
        await until(lambda: s.tasks[erred.key].state == "erred")
        assert {type(ts) for ts in s.tasks.values()} == {LeanTaskState}
        plots = await AsyncHTTPClient().fetch(url_of(s, "/individual-plots.json"))
        assert plots.code == 200
        applications = s.http_application.applications
        paths = {p for each in applications for p in getattr(each, "app_paths", ())}
        assert len(paths) > 40
        names = {"task": done[0].key, "worker": quote(next(iter(s.workers)), safe="")}
        others = [each.format(**names) for each in OTHERS]
        for path in [*sorted(paths), *others]:
            url, has_plots = url_of(s, path), path in paths
            errors = await asyncio.to_thread(look_at, browser, url, has_plots)
            assert not errors, path
        browser.get("about:blank")
        del waiting
    assert not [r for r in caplog.records if r.levelname == "ERROR"]
