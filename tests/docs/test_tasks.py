"""The table of docs/tasks.md: what upstream changes in the sets of a task."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import distributed
import pytest

from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    path = ROOT / "docs" / "tasks.py"
    spec = importlib.util.spec_from_file_location("docs_tasks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_place_that_changes_a_set_of_a_task_is_in_the_docs(
    tasks: ModuleType,
) -> None:
    head, *rows = [
        [cell.strip().strip("`()") for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "tasks.md").read_text("utf-8").splitlines()
        if line.startswith(("| function", "| `"))
    ]
    known = {tuple(row[:3]): row for row in rows}
    lines: dict[tuple[str, ...], list[str]] = {}
    for change in tasks.changes(Path(distributed.__file__).parent):
        assert change.file == "scheduler.py", f"{change} is new"
        place = (change.function, change.attribute, change.how)
        assert place in known, f"{change} is new"
        lines.setdefault(place, []).append(str(change.line))
    if distributed.__version__ in head:
        column = head.index(distributed.__version__)
        told = {place: row[column].split(", ") for place, row in known.items()}
        assert lines == told


@pytest.mark.parametrize(
    "source",
    [
        "ts.waiters.symmetric_difference_update(x)",
        "s = ts.who_has\nif x:\n    s.update(y)",
        "def f():\n    for ts in x:\n        ts.dependents |= y",
        "ts.a, ts.waiting_on = 1, 2",
        "del ts.dependencies",
    ],
)
def test_a_new_place_is_found(tasks: ModuleType, source: str, tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(source)
    assert len(list(tasks.changes(tmp_path))) == 1
