"""The pages: what is generated from the code is up to date, and no link is broken."""

from __future__ import annotations

import re
import runpy

import dask.config
import pytest

from leandask.cli.scheduler import OWN_OPTIONS, main
from leandask.guard import cost
from tests.helpers.paths import ROOT

PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*.md")
    for page in ROOT.glob(pattern)
]
CONFIGURATION = runpy.run_path(str(ROOT / "docs" / "configuration.py"))
SETTINGS = [
    *CONFIGURATION["settings"](CONFIGURATION["SCHEMA"], CONFIGURATION["DEFAULTS"], "")
]


def test_the_page_of_the_configuration_is_generated_from_the_schema():
    made, page = CONFIGURATION["page"](), CONFIGURATION["PAGE"].read_text()
    assert page == made, "run python docs/configuration.py"


@pytest.mark.parametrize("key", [key for key, _, _ in SETTINGS])
def test_the_variable_and_the_flag_of_a_setting_set_it(key):
    config = dask.config.collect_env({CONFIGURATION["variable"](key): "7"})
    assert dask.config.get(key, config=config) == 7
    if flag := CONFIGURATION["flag"](key):
        name, *values = flag.replace("=N", "=2000000").split()
        [option] = [p for p in main.params if name in p.opts]
        params = main.make_context("x", [name, *values]).params
        assert params[option.name] not in (None, False, {}, ())


def test_every_flag_of_ours_that_is_a_setting_is_on_the_page():
    flags = {CONFIGURATION["flag"](key).split(" ")[0] for key, _, _ in SETTINGS}
    ours = {p.opts[0] for p in OWN_OPTIONS}
    assert flags - {""} == ours - {"--log-format"}


def test_the_page_of_the_bounds_has_each_with_its_default():
    """Its table also has upstream's settings, which the page does not have."""
    text = (ROOT / "docs" / "bounds.md").read_text()
    section = text.split("## What is bounded")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|", section, flags=re.M)
    show = CONFIGURATION["show"]
    bounds = {
        key.removeprefix("leandask.retention."): show(default)
        for key, _, default in SETTINGS
        if key.startswith("leandask.retention.")
    }
    assert dict(rows) == bounds


def test_the_page_of_the_guard_has_the_estimates_of_the_code():
    text = (ROOT / "docs" / "guard.md").read_text()
    section = text.split("## What a graph will take")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| ([\d.]+)\D*?([\d.]*)\D* \|$", section, flags=re.M)
    numbers = [float(number) for row in rows for number in row if number]
    estimates = [
        cost.TASK_BYTES,
        cost.DEPENDENCY_BYTES,
        cost.UNPACKED,
        cost.UNPACKED_SMALL,
        cost.BLOCK_BYTES,
    ]
    assert numbers == estimates
    assert f"a large graph ({cost.LARGE:,} tasks)" in section


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links(page):
    """The relative links of a page, images too."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if "://" not in link:
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_of_the_docs_can_be_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        if (page := todo.pop()) not in seen:
            seen.add(page)
            paths = [(page.parent / link.partition("#")[0]) for link in links(page)]
            paths += [path / "index.md" for path in paths]  # where one is a folder
            todo += [p.resolve() for p in paths if p.suffix == ".md" and p.exists()]
    assert seen >= {*ROOT.glob("docs/*.md")}
