"""Each benchmark is named beside what it measures, and each that is named exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def benchmarks():
    """Return the modules that can be run."""
    found = {"benchmarks", "benchmarks.scale"}  # they are folders
    started_by_others = {"benchmarks.harness.cluster", "benchmarks.scale.swarm"}
    for path in (ROOT / "benchmarks").rglob("*.py"):
        if '__name__ == "__main__"' in path.read_text() and path.stem != "__main__":
            found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found - started_by_others


def test_all_benchmarks_are_named_where_all_figures_are():
    text = (ROOT / "docs/measured.md").read_text()
    table = text[text.index("## Which command measures what") :]
    assert set(re.findall(r"\bbenchmarks(?:\.\w+)*", table)) == benchmarks()


def test_each_command_of_the_pages_is_a_benchmark():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {
        command
        for page in pages
        for command in re.findall(r"python -m (benchmarks[\w.]*\w)", page.read_text())
    }
    assert named <= benchmarks()
