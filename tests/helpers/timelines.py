"""Timelines as their page shows them: the data and the texts in it."""

from __future__ import annotations

import json
import re

from leandask.reading.timeline.page import render
from tests.helpers.logs import T0


def data_of(timeline):
    page = render(timeline)
    page.encode()
    blocks = re.findall(r'<script type="application/json".*?>(.*?)</script>', page)
    assert len(blocks) == 1
    return json.loads(blocks[0])


def level_at(data, name, seconds):
    """The level that the page shows for a time."""
    ms, level = (T0 + seconds) * 1000, 0
    for number, value in zip(data["bins"], data["levels"][name], strict=True):
        if data["start"] + number * data["width"] <= ms:
            level = value
    return level


def text_of(timeline):
    """The page without styles, scripts and tags."""
    page = re.sub(r"(?s)<(style|script).*?</\1>", "", render(timeline))
    return re.sub(r"<[^>]*>", " ", page)
