"""The controls of a timeline's page, in a browser: cursor, zoom and legend."""

from __future__ import annotations

import pytest

from leandask.reading.timeline.columns import STATES
from tests.helpers.logs import T0
from tests.helpers.timelinepage import (
    SECONDS,
    canvas,
    colors,
    drag,
    hover,
    painted,
    run_of_tasks,
    tip,
    visible,
)

pytest.importorskip("selenium")
from selenium.webdriver import ActionChains, Keys


def test_hovering_shows_the_figures_of_the_time(look):
    browser = look(run_of_tasks())
    # Between two records, what was there last still is: 2 to 50 are done.
    time, figures, text = hover(browser, "tasks", 50.5)
    assert time.startswith("2026-03-04T05:00:50.") and time.endswith("Z")
    assert "no record at this time" in text
    expected = dict.fromkeys(STATES, "0") | {"memory": "44", "erred": "5"}
    assert figures == expected | {"workers": "2"}
    _, figures, text = hover(browser, "lanes", 50.5)
    assert "tcp://10.0.0." in text
    assert "joined 2026-03-04T05:00:01.000Z" in text
    _, _, text = hover(browser, "schedulers", 50.5)
    assert "Scheduler-1" in text and "stopped" in text


def test_the_keys_step_from_bin_to_bin_and_show_what_is_in_each(look):
    browser = look(run_of_tasks())
    canvas(browser, "tasks").send_keys(Keys.HOME)
    time, figures, _ = tip(browser)
    assert (time, figures["workers"]) == ("2026-03-04T05:00:00.000Z", "0")
    canvas(browser, "tasks").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    time, figures, text = tip(browser)
    assert time == "2026-03-04T05:00:02.000Z"
    assert "bin of 1 ms" in text
    assert (figures["memory"], figures["into memory"]) == ("1", "+1")
    assert figures["other transitions"] == "+2"
    spoken = browser.find_element("id", "spoken").get_attribute("textContent")
    assert "05:00:02.000Z" in spoken
    canvas(browser, "tasks").send_keys(Keys.END)
    _, figures, _ = tip(browser)
    assert figures["worker lost"] == "+1"
    assert figures["records missing"] == "+3"
    assert figures["workers"] == figures["memory"] == "0"  # as the scheduler stopped


def test_dragging_zooms_and_escape_resets(look):
    browser = look(run_of_tasks())
    whole = visible(browser)
    assert whole == [T0 * 1000, (T0 + SECONDS) * 1000 + 1]
    assert not browser.find_element("id", "reset").is_enabled()
    drag(browser, "tasks", 20, 40)
    assert not browser.find_element("id", "tip").is_displayed()
    for got, seconds in zip(visible(browser), (20, 40), strict=True):
        assert abs(got - (T0 + seconds) * 1000) < 200
    errors = browser.find_elements("css selector", "#erred-marks b")
    assert {e.text for e in errors} - {"inc-20", "inc-40"} == {"inc-30"}
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    painted(browser)
    assert visible(browser) == whole
    drag(browser, "workers", 20, 40)
    assert visible(browser) != whole
    ActionChains(browser, 0).double_click(canvas(browser, "erred")).perform()
    painted(browser)
    assert visible(browser) == whole


def test_wheel_buttons_and_keys_zoom(look):
    browser = look(run_of_tasks())
    whole = visible(browser)

    def length():
        painted(browser)
        start, end = visible(browser)
        return end - start

    lengths = [length()]
    wheel = """
        const box = arguments[0].getBoundingClientRect();
        return arguments[0].dispatchEvent(new WheelEvent("wheel", {
          deltaY: arguments[1], clientX: box.left + 300, cancelable: true}))
    """
    element = canvas(browser, "tasks")
    # With nothing to zoom out of, the page may scroll.
    assert browser.execute_script(wheel, element, 200)
    assert not browser.execute_script(wheel, element, -200)
    lengths.append(length())
    browser.find_element("id", "in").click()
    lengths.append(length())
    canvas(browser, "workers").send_keys("+")
    lengths.append(length())
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 4
    before = visible(browser)
    browser.find_element("id", "later").click()
    assert abs(length() - lengths[-1]) <= 1
    assert visible(browser)[0] > before[0]
    for _ in range(5):
        browser.find_element("id", "in").click()
    browser.find_element("id", "reset").click()
    painted(browser)
    assert visible(browser) == whole


def test_the_legend_hides_a_state(look):
    browser = look(run_of_tasks())
    memory = "91,141,184"
    assert memory in colors(browser, "tasks")
    (button,) = (
        b
        for b in browser.find_elements("css selector", "#legend button")
        if b.text == "memory"
    )
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert memory not in colors(browser, "tasks")
    button.click()
    assert memory in colors(browser, "tasks")
