"""Fixtures for tests of a timeline's page in a browser."""

from __future__ import annotations

import pytest

from leandask.reading.timeline.page import render
from tests.helpers.browser import console
from tests.helpers.timelinepage import painted, unpacked


@pytest.fixture
def look(browser, tmp_path):
    """Open the page of a timeline, and check that the console stays empty."""

    def look(timeline, **options):
        path = tmp_path / "page.html"
        path.write_text(render(timeline, **options), "utf-8")
        browser.get(path.as_uri())
        unpacked(browser)
        painted(browser)
        return browser

    yield look
    assert console(browser) == []
