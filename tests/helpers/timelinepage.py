"""The page of a timeline in a browser: its canvases, cursor and visible range."""

from __future__ import annotations

from tests.helpers.logs import T0, Log, timeline_of

#: Length of :func:`run_of_tasks`, in seconds.
SECONDS = 100


def painted(browser):
    """Wait until the page has drawn what changed."""
    browser.execute_async_script(
        "const done = arguments[0];"
        "requestAnimationFrame(() => requestAnimationFrame(done))"
    )


def unpacked(browser):
    """Wait until the page has unpacked the runs of tasks, if it has any."""
    browser.execute_async_script(
        """
        const done = arguments[0], canvas = document.querySelector("#stream canvas");
        const look = () => !canvas || canvas.dataset.ready ? done()
          : requestAnimationFrame(look);
        look();
        """
    )


def run_of_tasks():
    """A task a second, every tenth erred; then a lost worker, a gap in seq, a stop."""
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
    from selenium.webdriver import ActionChains

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
    from selenium.webdriver import ActionChains

    element = canvas(browser, panel)
    a, b = (offset(browser, element, second) for second in (first, last))
    chain = ActionChains(browser, 0).move_to_element_with_offset(element, a, 0)
    chain.click_and_hold().move_by_offset(b - a, 0).release().perform()
    painted(browser)


def colors(browser, panel):
    """The colors in the canvas of a panel, as ``red,green,blue``."""
    painted(browser)
    found = browser.execute_script(
        """
        const from = document.querySelector(`#${arguments[0]} canvas`);
        const {width, height} = from, found = new Set();
        // A copy, as the page's own canvas is not made to be read.
        const c = new OffscreenCanvas(width, height).getContext(
          "2d", {willReadFrequently: true});
        c.drawImage(from, 0, 0);
        const all = c.getImageData(0, 0, width, height).data;
        for (let i = 0; i < all.length; i += 4)
          found.add([...all.slice(i, i + 3)].join());
        return [...found];
        """,
        panel,
    )
    return {*found}
