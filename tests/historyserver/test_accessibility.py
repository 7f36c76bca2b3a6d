"""The pages for those who see little, and for those who use no mouse."""

from __future__ import annotations

from importlib.resources import files

import pytest

from tests.helpers.browser import resize
from tests.helpers.processes import wait_for

pytest.importorskip("selenium")
pytest.importorskip("axe_core_python", reason="needs axe-core-python")
from selenium.webdriver.common.keys import Keys

AXE = files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
#: What keeps someone from using a page.
IMPACTS = ("serious", "critical")
PARTS = ("overview", "tasks", "errors", "workers", "events", "story&key=fail")
FRAMES = ("timeline", "report")


def use_colors(browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def violations(browser):
    """What is wrong on a page, each with the first element."""
    browser.execute_script(AXE)
    found = browser.execute_async_script(
        "axe.run(document, {iframes: false}).then(arguments[0])"
    )
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in IMPACTS
    ]


def load(browser, url):
    browser.get(url)
    wait_for(lambda: "Reading" not in browser.find_element("tag name", "body").text)


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 375)]
)
def test_nothing_keeps_a_reader_out(browser, real_server, real_logs, scheme, width):
    _, ids = real_logs
    resize(browser, width)
    use_colors(browser, scheme)
    one, other = f"/runs/{ids['clean']}", ids["lost"]
    pages = ["/", "/runs/nope", f"/compare?a={ids['clean']}&b={other}"]
    pages += [f"{one}?view={part}" for part in PARTS + FRAMES]
    pages += [f"/runs/{other}?view=workers", f"/runs/{ids['killed']}"]
    wrong = {}
    for path in pages + [f"{one}/{name}" for name in FRAMES]:
        load(browser, real_server.url + path)
        wrong[path] = violations(browser)
    assert {path: found for path, found in wrong.items() if found} == {}


def press(browser, *keys):
    browser.switch_to.active_element.send_keys(*keys)


def go_to(browser, wanted, most=60):
    """Press Tab until an element has the focus, whose ring must be seen."""
    for _ in range(most):
        press(browser, Keys.TAB)
        focused = browser.switch_to.active_element
        if wanted(focused):
            styles = ("outline-style", "outline-width")
            style, width = map(focused.value_of_css_property, styles)
            assert style != "none" and width != "0px"
            return focused
    raise AssertionError("no such element can be reached")


def test_the_keyboard_alone_reaches_everything(browser, real_server, real_logs):
    _, ids = real_logs
    load(browser, real_server.url)
    go_to(browser, lambda e: e.get_attribute("name") == "q")
    press(browser, "Scheduler", Keys.ENTER)
    wait_for(lambda: "q=Scheduler" in browser.current_url)
    go_to(browser, lambda e: e.text == "Erred")
    press(browser, Keys.ENTER)
    wait_for(lambda: "sort=-erred" in browser.current_url)
    for _ in range(2):
        go_to(browser, lambda e: e.get_attribute("name") == "run")
        press(browser, Keys.SPACE)
    go_to(browser, lambda e: "Compare" in e.text)
    press(browser, Keys.ENTER)
    wait_for(lambda: "/compare" in browser.current_url)
    wait_for(lambda: browser.find_elements("css selector", "#view table"))
    go_to(browser, lambda e: e.text == "Compute B")
    press(browser, Keys.ENTER)
    assert browser.find_element("css selector", "th[aria-sort=descending]")
    go_to(browser, lambda e: e.text == "Dask runs", most=100)
    press(browser, Keys.ENTER)
    wait_for(lambda: browser.find_elements("id", "runs"))
    go_to(browser, lambda e: e.text == ids["clean"])
    press(browser, Keys.ENTER)
    wait_for(lambda: browser.current_url.endswith(ids["clean"]))
    for part in ("Tasks", "Errors", "Workers", "Events", "Story", "Timeline"):
        go_to(browser, lambda e, part=part: e.text == part)
        press(browser, Keys.ENTER)
        wait_for(lambda part=part: f"view={part.lower()}" in browser.current_url)
    load(browser, f"{real_server.url}/runs/{ids['clean']}?view=events")
    go_to(browser, lambda e: e.tag_name == "summary")
    press(browser, Keys.ENTER)
    assert browser.find_element("css selector", "details[open]")
