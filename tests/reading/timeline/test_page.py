"""The page of a timeline as HTML: its parts, its policy, and hostile texts."""

from __future__ import annotations

import base64
import hashlib
import re

from leandask.reading.timeline.page import FOLDER, SCRIPTS, render
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.logs import HOSTILE, hostile_timeline
from tests.helpers.timelines import data_of


def test_the_page_has_every_file_of_its_folder():
    page = render(Timeline())
    files = [file for file in FOLDER.rglob("*") if file.is_file()]
    parts = {file.relative_to(FOLDER).as_posix() for file in files} - {"page.html"}
    assert parts == {"style.css", *(f"{name}.js" for name in SCRIPTS)}
    for part in parts:
        # As it is: a template would fill in what looks like a variable.
        assert page.count(FOLDER.joinpath(part).read_text("utf-8")) == 1, part
    assert page.count("<style>") == page.count("<script>") == 1


def test_the_policy_has_the_hashes_of_the_style_and_the_script():
    page = render(Timeline())
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    for tag in ("style", "script"):
        content = re.search(f"(?s)<{tag}>(.*?)</{tag}>", page)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy


def test_the_script_shows_texts_of_records_as_texts_only():
    script = "".join(FOLDER.joinpath(f"{name}.js").read_text() for name in SCRIPTS)
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "write("):
        assert unsafe not in script


def test_the_policy_allows_only_the_pages_own_script():
    page = render(Timeline())
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "http" not in policy
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)


def test_hostile_texts_stay_texts():
    timeline = hostile_timeline()
    page = render(timeline)
    page.encode("utf-8")
    assert not timeline.wrong
    assert page.count("<script") == page.count("</script") == 2
    assert "<img" not in page
    assert "\u2028" not in page
    data = data_of(timeline)
    assert [mark[1] for mark in data["marks"]["erred"]][:2] == HOSTILE[:2]
    assert data["marks"]["erred"][4][1] == "\\ud800 alone"
    assert data["marks"]["erred"][8][1] == "k" * 512
