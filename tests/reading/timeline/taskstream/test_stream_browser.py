"""The task stream in a browser: what it draws, tells, and how it is moved."""

from __future__ import annotations

import random

import pytest

from leandask.reading.timeline.timeline import Timeline
from tests.helpers.browser import overflow, resize
from tests.helpers.logs import HOSTILE, Log, timeline_of
from tests.helpers.timelinepage import (
    canvas,
    colors,
    offset,
    painted,
    tip,
    visible,
)

pytest.importorskip("selenium")
from selenium.webdriver import ActionChains, Keys

#: Color of runs that erred, and of what is not highlighted, in light colors.
ERRED, PALE, TRANSFER = "207,68,80", "217,220,223", "194,112,58"
#: Pixels of a row, if there are few.
ROW = 18


def of_two_workers():
    """worker-1 runs load-1 to load-9 of 5 s each; worker-2 sum-1, and sum-2 erred."""
    log = Log().start(0)
    for i in range(1, 10):
        log.ran(10 * i, f"load-{i}", 5, nbytes=1000 * i)
    log.ran(50, "sum-1", 20, 2, nbytes=5 * 2**20, transfer_seconds=10)
    log.ran(90, "sum-2", 10, 2, error="ValueError('odd')")
    return log.stop(100)


def point_at(browser, row, seconds):
    """Point at a time of a row; return title, figures and text of the tip."""
    element = canvas(browser, "stream")
    y = round(row * ROW + ROW / 2 - element.rect["height"] / 2)
    x = offset(browser, element, seconds)
    ActionChains(browser, 0).move_to_element_with_offset(element, x, y).perform()
    painted(browser)
    return tip(browser)


def swatch(browser, prefix):
    """The button of a prefix, and its color."""
    for button in browser.find_elements("css selector", "#stream-legend button"):
        if button.find_element("tag name", "span").text == prefix:
            color = browser.execute_script(
                "return getComputedStyle(arguments[0].querySelector('i'))"
                ".backgroundColor",
                button,
            )
            return button, color.removeprefix("rgb(").removesuffix(")").replace(" ", "")
    raise AssertionError(prefix)


def test_pointing_at_a_run_tells_of_it(look):
    browser = look(timeline_of(of_two_workers()))
    title, facts, _ = point_at(browser, 0, 38)
    assert title == "load-4"
    assert facts == {
        "prefix": "load",
        "worker": "worker-1 (tcp://10.0.0.1:4000)",
        "thread": "1",
        "start": "2026-03-04T05:00:35.000000Z",
        "computed": "5 s",
        "result": "4 KiB",
    }
    title, facts, _ = point_at(browser, 1, 40)
    assert (title, facts["transfer"], facts["result"]) == ("sum-1", "10 s", "5 MiB")
    title, facts, text = point_at(browser, 1, 85)
    assert title == "sum-2"
    assert "erred: ValueError('odd')" in text
    # Where a thread is idle, the tip has the counts of the time, as in other panels.
    title, facts, _ = point_at(browser, 0, 32)
    assert title.startswith("2026-03-04T05:00:3") and "workers" in facts


def test_runs_are_drawn_in_the_colors_of_the_legend(look):
    browser = look(timeline_of(of_two_workers()))
    (load, load_color), (_, sum_color) = (
        swatch(browser, prefix) for prefix in ("load", "sum")
    )
    assert load.text.split() == ["load", "9"]
    assert {load_color, sum_color, ERRED, TRANSFER} <= colors(browser, "stream")
    load.click()
    assert load.get_attribute("aria-pressed") == "true"
    # What erred stays visible.
    assert {load_color, PALE, ERRED} <= colors(browser, "stream")
    assert sum_color not in colors(browser, "stream")
    load.click()
    assert sum_color in colors(browser, "stream")


def test_a_prefix_has_the_same_color_in_every_page(look):
    color = swatch(look(timeline_of(of_two_workers())), "sum")[1]
    other = timeline_of(Log().start(0).ran(3, "other-1", 1).ran(5, "sum-1", 1))
    assert swatch(look(other), "sum")[1] == color


def test_the_keys_go_from_run_to_run_and_from_row_to_row(look):
    browser = look(timeline_of(of_two_workers()))
    element = canvas(browser, "stream")

    def press(*keys):
        element.send_keys(*keys)
        return tip(browser)[0]

    assert press(Keys.ARROW_RIGHT) == "load-1"
    assert press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT) == "load-3"
    assert press(Keys.ARROW_LEFT) == "load-2"
    assert press(Keys.ARROW_DOWN) == "sum-1"
    spoken = browser.find_element("id", "spoken").get_attribute("textContent")
    assert "sum-1" in spoken and "worker-2" in spoken
    assert press(Keys.ARROW_RIGHT) == press(Keys.ARROW_RIGHT) == "sum-2"
    # The range moves along.
    for _ in range(6):
        element.send_keys("+")
    press(Keys.ARROW_LEFT)
    painted(browser)
    start, end = visible(browser)
    assert end - start < 5000
    first = visible(browser)
    element.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)
    painted(browser)
    assert visible(browser)[0] > first[0]


def test_a_run_that_was_told_of_late_is_where_it_began(look):
    log = Log().start(0).ran(3, "short-1", 1).ran(5, "short-2", 1)
    browser = look(timeline_of(log.ran(9, "left-its-thread-1", 8).stop(10)))
    element, titles = canvas(browser, "stream"), []
    for _ in range(3):
        element.send_keys(Keys.ARROW_RIGHT)
        titles.append(tip(browser)[0])
    assert titles == ["left-its-thread-1", "short-1", "short-2"]
    assert point_at(browser, 0, 8)[0] == "left-its-thread-1"


def test_the_mouse_moves_the_range_with_shift(look):
    browser = look(timeline_of(of_two_workers()))
    for _ in range(2):
        browser.find_element("id", "in").click()
    painted(browser)
    before = visible(browser)
    chain = ActionChains(browser, 0).key_down(Keys.SHIFT)
    chain.move_to_element(canvas(browser, "stream")).click_and_hold()
    chain.move_by_offset(-100, 0).release().key_up(Keys.SHIFT).perform()
    painted(browser)
    after = visible(browser)
    assert after[0] > before[0]
    assert abs((after[1] - after[0]) - (before[1] - before[0])) <= 1


def touch(browser, kind, *points):
    made = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
    browser.execute_cdp_cmd(
        "Input.dispatchTouchEvent", {"type": kind, "touchPoints": made}
    )


def test_a_finger_moves_the_range_and_two_zoom(look):
    browser = look(timeline_of(of_two_workers()))
    canvas(browser, "stream")
    box = browser.execute_script(
        "return document.querySelector('#stream canvas').getBoundingClientRect()"
    )
    y = box["y"] + 10
    whole = visible(browser)
    touch(browser, "touchStart", (500, y), (700, y))
    for step in range(1, 11):
        touch(browser, "touchMove", (500 - 20 * step, y), (700 + 20 * step, y))
    touch(browser, "touchEnd")
    painted(browser)
    zoomed = visible(browser)
    share = (zoomed[1] - zoomed[0]) / (whole[1] - whole[0])
    assert 0.3 < share < 0.37  # the fingers are three times as far apart
    touch(browser, "touchStart", (700, y))
    for step in range(1, 11):
        touch(browser, "touchMove", (700 - 10 * step, y))
    touch(browser, "touchEnd")
    painted(browser)
    moved = visible(browser)
    assert moved[0] > zoomed[0]
    assert abs((moved[1] - moved[0]) - (zoomed[1] - zoomed[0])) <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_narrow_screens(look, browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    resize(browser, 375)
    browser = look(timeline_of(of_two_workers()), is_report=True)
    assert overflow(browser) == 0
    assert swatch(browser, "load")[1] in colors(browser, "stream")
    point_at(browser, 0, 38)
    box = browser.find_element("id", "tip").rect
    assert box["x"] >= 0 and box["x"] + box["width"] <= 375


def test_hostile_texts_show_as_texts(look):
    log = Log().start(0)
    for i, text in enumerate(HOSTILE):
        log.ran(i + 2, f"{text}-1", 0.5, error=text, task_prefix=text)
        log.records[-1] |= {"worker": text, "worker_name": text}
    browser = look(timeline_of(log), is_report=True)
    assert browser.execute_script("return document.scripts.length") == 2
    assert not browser.find_elements("tag name", "img")
    legend = browser.find_element("id", "stream-legend").text
    assert HOSTILE[0] in legend and HOSTILE[1] in legend
    seen = set()
    element = canvas(browser, "stream")
    element.send_keys(Keys.ARROW_RIGHT)
    for _ in HOSTILE:
        seen.add(tip(browser)[0])
        element.send_keys(Keys.ARROW_DOWN)
    assert {f"{text}-1" for text in HOSTILE[:3]} <= seen
    for width in (1280, 375):
        resize(browser, width)
        painted(browser)
        assert overflow(browser) == 0


def test_many_runs_in_a_pixel_are_drawn_by_their_share_of_it(look):
    rng, timeline = random.Random(0), Timeline()
    log = Log().start(0)
    # One thread is always busy, the other for a tenth of the time; both err once.
    for i in range(30_000):
        error = "ValueError('odd')" if i == 15_000 else ""
        log.ran(1 + i / 100, "busy-1", 0.01, 1)
        log.ran(1 + i / 100 + rng.random() / 1000, "idle-1", 0.001, 2, error=error)
        for record in log.records:
            timeline.add(record)
        log.records.clear()
    browser = look(timeline)
    busy, idle = (swatch(browser, name)[1] for name in ("busy", "idle"))
    found = colors(browser, "stream")
    assert busy in found and ERRED in found
    assert idle not in found  # it is paler
    _, facts, _ = point_at(browser, 0, 151)
    assert facts["prefix"] == "busy" and facts["computed"] == "10 ms"
    for _ in range(13):
        browser.find_element("id", "in").click()
    assert {busy, idle} & colors(browser, "stream")


def test_a_log_without_runs_says_how_to_record_them(look):
    browser = look(timeline_of(Log().start(0).stop(1)))
    assert "--log-tasks" in browser.find_element("id", "stream").text
    assert not browser.find_elements("css selector", "#stream canvas")


def test_runs_of_which_no_start_is_known_are_not_drawn(look):
    log = Log().start(0)
    fields = {"task_prefix": "x", "blamed_key": "x-1", "worker": "tcp://10.0.0.1:4000"}
    log.add(1, "dask.task.erred", task_key="x-1", **fields)
    browser = look(timeline_of(log))
    assert "it is known when it began" in browser.find_element("id", "stream").text
