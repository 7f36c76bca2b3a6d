"""The page of a timeline in a real browser."""

from __future__ import annotations

import json

import pytest

from leandask.reading.timeline.columns import STATES
from leandask.reading.timeline.page import FOLDER, SCRIPTS, render
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.browser import console, overflow, resize
from tests.helpers.logs import HOSTILE, T0, Log, hostile_timeline, timeline_of

pytest.importorskip("selenium")
from selenium.webdriver import ActionChains, Keys

SECONDS = 100


@pytest.fixture
def look(browser, tmp_path):
    """Open the page of a timeline, and check that the console stays empty."""

    def look(timeline):
        path = tmp_path / "page.html"
        path.write_text(render(timeline), "utf-8")
        browser.get(path.as_uri())
        painted(browser)
        return browser

    yield look
    assert console(browser) == []


def painted(browser):
    browser.execute_async_script(
        "const done = arguments[0];"
        "requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def run_of_tasks():
    """A task a second into memory, every tenth errs; a worker is lost; a kill."""
    log = Log().start(0).join(1, "tcp://10.0.0.7:4000").join(1, "tcp://10.0.0.8:4000")
    for i in range(2, SECONDS):
        last = "memory" if i % 10 else "erred"
        log.task(i, f"inc-{i}", "released", "waiting", "processing", last)
    log.leave(SECONDS, "tcp://10.0.0.7:4000", expected=False)
    log.seq += 3
    return timeline_of(log.stop(SECONDS))


def canvas(browser, panel):
    element = browser.find_element("css selector", f"#{panel} canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def visible(browser):
    output = browser.find_element("id", "visible")
    return [int(output.get_attribute(f"data-{end}")) for end in ("from", "to")]


def offset(browser, element, seconds):
    """Where a time is, from the middle of a canvas, while all of the log is shown."""
    left, right = (float(element.get_attribute(f"data-{s}")) for s in ("left", "right"))
    width = browser.execute_script("return arguments[0].clientWidth", element)
    start, end = visible(browser)
    margin = (end - start) * 0.01
    share = ((T0 + seconds) * 1000 - start + margin) / (end - start + 2 * margin)
    return round(left + share * (width - left - right) - width / 2)


def hover(browser, panel, seconds):
    element = canvas(browser, panel)
    x = offset(browser, element, seconds)
    ActionChains(browser, 0).move_to_element_with_offset(element, x, 0).perform()
    painted(browser)
    return tip(browser)


def tip(browser):
    """The tooltip of the cursor: its time, figures by name, and its text."""
    element = browser.find_element("id", "tip")
    names = [e.text for e in element.find_elements("tag name", "dt")]
    values = [e.text for e in element.find_elements("tag name", "dd")]
    time = element.find_element("tag name", "strong").text
    return time, dict(zip(names, values, strict=True)), element.text


def drag(browser, panel, first, last):
    element = canvas(browser, panel)
    a, b = (offset(browser, element, second) for second in (first, last))
    chain = ActionChains(browser, 0).move_to_element_with_offset(element, a, 0)
    chain.click_and_hold().move_by_offset(b - a, 0).release().perform()
    painted(browser)


def test_the_page_has_every_file_of_its_folder():
    files = {file.name for file in FOLDER.iterdir()}
    assert files == {"page.html", "style.css"} | {f"{name}.js" for name in SCRIPTS}


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

    def colors():
        painted(browser)
        return browser.execute_script(
            """
            const from = document.querySelector("#tasks canvas"), found = new Set();
            const {width, height} = from;
            // A copy, as the page's own canvas is not made to be read.
            const c = new OffscreenCanvas(width, height).getContext(
              "2d", {willReadFrequently: true});
            c.drawImage(from, 0, 0);
            const all = c.getImageData(0, 0, width, height).data;
            for (let i = 0; i < all.length; i += 4)
              found.add([...all.slice(i, i + 3)].join());
            return [...found];
            """
        )

    memory = "91,141,184"
    assert memory in colors()
    (button,) = (
        b
        for b in browser.find_elements("css selector", "#legend button")
        if b.text == "memory"
    )
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert memory not in colors()
    button.click()
    assert memory in colors()


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
