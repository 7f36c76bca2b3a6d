"""The page of a timeline in a browser: what it shows of any log, on any screen."""

from __future__ import annotations

import json

import pytest

from leandask.reading.timeline.page import render
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.browser import console, overflow, resize
from tests.helpers.logs import HOSTILE, Log, hostile_timeline, timeline_of
from tests.helpers.timelinepage import canvas, colors, hover, painted, run_of_tasks

pytest.importorskip("selenium")
from selenium.webdriver import Keys


def test_hostile_texts_show_as_texts(look):
    browser = look(hostile_timeline())
    assert browser.execute_script("return document.scripts.length") == 2
    assert not browser.find_elements("tag name", "img")
    shown = [
        e.get_attribute("textContent")
        for e in browser.find_elements("css selector", "#erred-marks b")
    ]
    assert shown[:2] == HOSTILE[:2]
    assert shown[-1] == "k" * 512
    assert "&lt;b&gt;" in shown
    _, _, text = hover(browser, "schedulers", 5)
    assert all(hostile in text for hostile in HOSTILE[:2])
    assert HOSTILE[0] in browser.find_element("css selector", ".wide").text
    assert HOSTILE[0] in browser.find_element("css selector", ".remarks").text
    for width in (1280, 375):
        resize(browser, width)
        painted(browser)
        assert overflow(browser) == 0


def test_the_policy_refuses_any_other_script(browser, tmp_path):
    path = tmp_path / "page.html"
    page = render(run_of_tasks())
    path.write_text(page.replace("</main>", "</main><script>window.ran = 1</script>"))
    browser.get(path.as_uri())
    assert browser.execute_script("return window.ran") is None
    (message,) = console(browser)
    assert "Content Security Policy" in message


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_fits_narrow_screens_and_both_schemes(look, browser, width, scheme):
    resize(browser, width)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    look(run_of_tasks())
    assert overflow(browser) == 0
    page = browser.find_element("tag name", "body").value_of_css_property("color")
    assert (page == "rgba(31, 35, 40, 1)") == (scheme == "light")
    # One axis of time for all: a scrollbar must not shift any of them.
    edges = browser.execute_script(
        """return [...document.querySelectorAll("canvas")].map(c =>
          [c.getBoundingClientRect().left, c.dataset.left, c.dataset.right].join())"""
    )
    assert len({*edges}) == 1
    hover(browser, "tasks", 99)
    box = browser.find_element("id", "tip").rect
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_without_scripts_the_totals_are_there(look, browser):
    disable = "Emulation.setScriptExecutionDisabled"
    path = look(run_of_tasks()).current_url
    browser.execute_cdp_cmd(disable, {"value": True})
    try:
        browser.get(path)
        text = browser.find_element("tag name", "main").text
    finally:
        browser.execute_cdp_cmd(disable, {"value": False})
    assert "Without scripts there are no charts" in text
    assert "transitions into memory 89" in text
    assert "transitions into erred 9" in text
    assert "stopped: scheduler-close" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_memory_is_drawn_against_its_limit(look, browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    log = Log().start(0)
    for i in range(1, 50):
        log.sample(10 * i, 10 * i)
    browser = look(timeline_of(log.sample(500, 490).stop(510)))
    resize(browser, 375)
    painted(browser)
    assert overflow(browser) == 0
    _, _, text = hover(browser, "memory", 254)
    assert "RSS 250 MiB of 512 MiB at 2026-03-04T05:04:10.000Z" in text
    limit, curve = ("194,51,63", "47,111,159")
    if scheme == "dark":
        limit, curve = ("242,119,127", "116,179,223")
    assert {limit, curve} <= colors(browser, "memory")
    heading = browser.find_element("id", "h-memory").text
    assert "490 of 512 MiB at most" in heading


def test_a_limit_far_above_the_memory_does_not_make_it_flat(look):
    log = Log().start(0).sample(10, 100, 64 * 1024).sample(20, 120, 64 * 1024)
    browser = look(timeline_of(log.stop(30)))
    assert "194,51,63" not in colors(browser, "memory")
    _, _, text = hover(browser, "memory", 15)
    assert "RSS 100 MiB of 64.0 GiB" in text


def test_a_log_without_samples_says_so(look):
    browser = look(run_of_tasks())
    assert "--event-log" in browser.find_element("id", "memory").text
    assert not browser.find_elements("css selector", "#memory canvas")


def ends_of_time():
    timeline = Timeline()
    for record in Log().start(0).stop(1).records:
        for time in ("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"):
            timeline.add(record | {"timestamp": time})
    return timeline


@pytest.mark.parametrize(
    "timeline", [Timeline(), timeline_of(Log().start(0)), ends_of_time()]
)
def test_odd_logs(look, timeline):
    browser = look(timeline)
    assert "--log-transitions" in browser.find_element("id", "tasks").text
    canvas(browser, "workers").send_keys(Keys.ARROW_RIGHT)
    assert overflow(browser) == 0


def test_many_workers_scroll_within_their_panel(look):
    log = Log().start(0)
    for i in range(600):
        log.event(i, "all", "add-worker", worker=f"tcp://10.0.{i}:4000")
        log.event(i + 50, "all", "remove-worker", worker=f"tcp://10.0.{i}:4000")
    timeline = timeline_of(log)
    browser = look(timeline)
    panel = browser.find_element("id", "lanes")
    assert panel.rect["height"] <= 300
    browser.execute_script("arguments[0].scrollTop = 1e6", panel)
    painted(browser)
    _, _, text = hover(browser, "lanes", 575)
    assert "tcp://10.0.5" in text
    page = browser.find_element("id", "data").get_attribute("textContent")
    assert len(json.loads(page)["lanes"]) == 500
