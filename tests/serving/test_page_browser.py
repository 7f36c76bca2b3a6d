"""The page in a browser: its parts, what it shows, and a scheduler that is gone."""

from __future__ import annotations

import html.parser
import re

import pytest
from distributed import Client

import leandask
from leandask.serving.page import FOLDER, SCRIPTS, read_page
from tests.helpers.browser import console, overflow, resize
from tests.helpers.processes import starting, wait_for

HOSTILE = "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>"


def test_the_page_has_every_file_of_its_folder():
    page = read_page()[0].decode()
    parts = {file.name for file in FOLDER.iterdir()} - {"page.html"}
    assert parts == {"style.css", *(f"{name}.js" for name in SCRIPTS)}
    for part in parts:
        assert page.count(FOLDER.joinpath(part).read_text("utf-8")) == 1, part
    assert "{style}" not in page
    assert "{script}" not in page


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


def test_the_page_shows_an_archive_that_fails(start, browser, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.write_text("no folder")
    settings = {
        "DASK_LEANDASK__EVENT_LOG__ARCHIVE_INTERVAL": "100ms",
        "DASK_LEANDASK__EVENT_LOG__ARCHIVE_FOLDER": str(tmp_path),
    }
    started = start("--event-log", f"file://{bucket}", **settings)
    for _, client, _ in open_page(browser, *started):
        wait_for(lambda: shown(browser, "archive-errors") not in ("–", "0"))
        report = leandask.get_report(client)["event_log"]["archive"]
        assert shown(browser, "archive-error") == report["last_error"]
        assert shown(browser, "archive-url") == f"file://{bucket}"
        assert shown(browser, "archive-last") == "none yet"
        bucket.unlink()
        wait_for(lambda: shown(browser, "archive-last").startswith("20"))
        wait_for(lambda: not shown(browser, "archive-uploaded").startswith("0 "))
        assert shown(browser, "archive-lost") == "0 segments, 0 B"
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
