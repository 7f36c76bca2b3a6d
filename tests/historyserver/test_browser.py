"""The pages in a browser."""

from __future__ import annotations

import contextlib

import pytest

from tests.helpers.browser import console, overflow, resize
from tests.helpers.logs import HOSTILE, Log, append_logs, write_logs
from tests.helpers.processes import wait_for
from tests.historyserver.test_hostile_logs import hostile_log

pytest.importorskip("selenium")
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
)

VIEWS = ("overview", "tasks", "errors", "workers", "events", "story")
FRAMES = ("timeline", "report")


@pytest.fixture
def look(browser):
    """Open a page, and check at the end that the console stayed empty."""

    def look(url):
        browser.get(url)
        wait_for(lambda: not browser.find_elements("id", "waiting"))
        return browser

    yield look
    assert console(browser) == []


def text_of(browser, selector="main"):
    with contextlib.suppress(NoSuchElementException, StaleElementReferenceException):
        return browser.find_element("css selector", selector).text
    return ""


def rows(browser):
    return browser.find_elements("css selector", "#runs tbody tr")


def test_the_list_is_sorted_searched_and_leads_to_a_run(look, real_server, real_logs):
    _, ids = real_logs
    browser = look(real_server.url)
    assert "3 runs" in text_of(browser, "h1") and len(rows(browser)) == 3
    browser.find_element("link text", "Erred").click()
    assert "sort=-erred" in browser.current_url
    assert ids["clean"] in rows(browser)[0].text
    field = browser.find_element("name", "exception")
    field.send_keys("no 1 here\n")
    wait_for(lambda: "1 run" in text_of(browser, "h1") and len(rows(browser)) == 1)
    assert "exception=no+1+here" in browser.current_url
    assert "sort=-erred" in browser.current_url  # the link shows the same
    browser.find_element("link text", ids["clean"]).click()
    wait_for(lambda: browser.find_elements("css selector", "figure svg"))
    text = text_of(browser)
    assert "Memory of the scheduler" in text and "Runs of tasks a second" in text
    assert "distributed version" in text


def test_each_part_of_a_run_shows(look, browser, real_server, real_logs):
    _, ids = real_logs
    run = f"{real_server.url}/runs/{ids['clean']}"
    text = text_of(look(f"{run}?view=tasks"))
    assert "inc" in text and "fail" in text
    look(f"{run}?view=errors")
    assert "3 ×" in text_of(browser) and "raise ValueError" in text_of(browser)
    browser.find_element("partial link text", "fail-").click()
    wait_for(lambda: "processing → erred" in text_of(browser))
    assert "view=story&key=fail-" in browser.current_url
    lost = f"{real_server.url}/runs/{ids['lost']}"
    assert "lost unexpectedly" in text_of(look(f"{lost}?view=workers"))
    look(f"{lost}?view=events&action=remove-worker")
    wait_for(lambda: "remove-worker" in text_of(browser, "details"))
    for view in FRAMES:
        look(f"{run}?view={view}")
        browser.switch_to.frame(browser.find_element("css selector", "iframe"))
        wait_for(lambda: browser.find_elements("css selector", "#stream canvas"))
        assert browser.execute_script("return window.origin") == "null"
        assert ("by prefix" in text_of(browser).lower()) == (view == "report")
        browser.switch_to.default_content()


def test_two_runs_stand_side_by_side(look, real_server):
    browser = look(real_server.url)
    for box in browser.find_elements("name", "run")[:2]:
        box.click()
    browser.find_element("css selector", ".pager button").click()
    wait_for(lambda: "(all)" in text_of(browser))
    assert "inc" in text_of(browser) and "Runs A" in text_of(browser)
    browser.find_element("xpath", "//button[text()='Compute B']").click()
    assert browser.find_element("css selector", "th[aria-sort=descending]")


def test_a_run_is_followed_until_it_ends(look, serve, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    log = Log("Scheduler-1").start(0).sample(1, 100).sample(2, 110)
    write_logs(logs / "log.jsonl", log)

    def append():
        append_logs(logs / "log.jsonl", log)

    def shown(name):
        return text_of(browser, f"[data-field={name}]")

    with serve(logs) as server:
        server.wait_for_runs(1)
        browser = look(f"{server.url}/runs/Scheduler-1")
        assert (text_of(browser, "#state"), shown("tasks")) == ("running", "0")
        log.task(3, "x-1", "processing", "memory")
        append()
        wait_for(lambda: shown("tasks") == "1")
        log.sample(4, 400)
        append()
        wait_for(lambda: shown("rss_peak") == "400 MiB of 512 MiB")
        wait_for(lambda: "at most 400 MiB" in text_of(browser, "#view"))  # the chart
        log.stop(5)
        append()
        wait_for(lambda: text_of(browser, "#state") == "stopped")
        assert shown("reason") == "scheduler-close"
        browser.get("about:blank")


def test_more_tabs_than_a_browser_has_connections_follow_a_run(look, serve, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    log = Log("Scheduler-1").start(0).sample(1, 100)
    write_logs(logs / "log.jsonl", log)
    with serve(logs) as server:
        server.wait_for_runs(1)
        url = f"{server.url}/runs/Scheduler-1"
        browser = look(url)
        first = browser.current_window_handle
        for _ in range(7):
            browser.switch_to.new_window("tab")
            assert text_of(look(url), "#state") == "running"
        append_logs(logs / "log.jsonl", log.stop(2))
        for tab in browser.window_handles:
            browser.switch_to.window(tab)
            wait_for(lambda: text_of(browser, "#state") == "stopped")
            if tab != first:
                assert console(browser) == []
                browser.close()
        browser.switch_to.window(first)
        browser.get("about:blank")


@pytest.mark.parametrize("width", [1280, 375])
def test_pages_fit_the_screen_and_hostile_texts_show_as_texts(
    look, browser, serve, tmp_path, width
):
    logs = tmp_path / "logs"
    logs.mkdir()
    write_logs(logs / "log.jsonl", hostile_log(HOSTILE[0]))
    resize(browser, width)
    with serve(logs) as server:
        [run] = server.wait_for_runs(1).values()
        paths = [f"/runs/{run['id']}?view={view}" for view in VIEWS + FRAMES]
        paths[5] += "&key=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
        compare = f"/compare?a={run['id']}&b={run['id']}"
        for path in ("/", *paths, compare, "/nope", f"/runs/{run['id']}?view=x"):
            look(server.url + path)
            wait_for(lambda: "Reading" not in text_of(browser, "body"))
            assert overflow(browser) == 0, path
            script = "return document.scripts.length"
            assert browser.execute_script(script) == (0 if path == "/nope" else 1)
            assert not browser.find_elements("tag name", "img")
            for details in browser.find_elements("css selector", "details"):
                browser.execute_script("arguments[0].open = true", details)
            assert overflow(browser) == 0, path
        expected = [m for m in console(browser) if "/nope" in m or "view=x" in m]
        assert len(expected) == 2 and all("404" in m for m in expected)
        browser.get("about:blank")
        console(browser)


def test_dark_colours_and_the_keyboard_work(look, browser, real_server):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    look(real_server.url)
    body = browser.find_element("tag name", "body")
    assert body.value_of_css_property("background-color") == "rgba(15, 18, 23, 1)"
    link = browser.find_element("css selector", "#runs td.name a")
    browser.execute_script("arguments[0].focus()", link)
    assert browser.switch_to.active_element == link
