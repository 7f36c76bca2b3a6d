from __future__ import annotations

import dask
import pytest

from leandask import Retention
from leandask.settings.budget import (
    AUTO_MAXIMUM,
    AUTO_MINIMUM,
    COSTS,
    as_budget,
    divide,
)
from leandask.settings.memorylimit import MemoryLimit
from tests.helpers.paths import ROOT

MIB = 2**20


def test_the_shares_add_up_to_100_percent():
    assert sum(cost.share for cost in COSTS.values() if not cost.part_of) == 100
    fields = Retention.__dataclass_fields__.values()
    names = [field.metadata["name"] for field in fields]
    assert set(COSTS) == set(names) - {"budget"}


@pytest.mark.parametrize("budget", [MIB, 16 * MIB, 1000 * MIB])
def test_the_bounds_use_the_whole_budget(budget):
    bounds = divide(budget)
    most = sum(
        n * COSTS[name].nbytes for name, n in bounds.items() if not COSTS[name].part_of
    )
    assert 0.98 * budget < most <= budget


def test_a_budget_replaces_defaults_and_smaller_bounds_stay():
    bounds = Retention(budget="16 MiB", spans=7, task_stream=10**9).effective()
    shares = divide(16 * MIB)
    assert bounds.budget == 16 * MIB
    assert bounds.transition_log == shares["transition-log"] > 100
    assert bounds.event_bytes == shares["event-bytes"] == 4 * MIB
    assert bounds.events == shares["events"]
    assert bounds.spans == 7
    assert bounds.task_stream == shares["task-stream"]
    assert (bounds.messages, bounds.error_length) == (0, 250)


def test_minima_and_upstreams_settings_hold_within_a_budget():
    with dask.config.set({"distributed.admin.low-level-log-length": 20}):
        bounds = Retention(budget="1 MiB").effective()
    assert bounds.transition_log == 20
    assert bounds.locks == 1000


def test_auto_is_a_share_of_the_memory_limit(monkeypatch):
    for limit, expected in [
        (2**30, int(0.02 * 2**30)),
        (2**20, AUTO_MINIMUM),
        (2**40, AUTO_MAXIMUM),
    ]:
        monkeypatch.setattr(
            "leandask.settings.budget.find_limit",
            lambda limit=limit: MemoryLimit(limit, "a test"),
        )
        assert Retention(budget="auto").budget == expected


@pytest.mark.parametrize(
    "value", ["lots", 5, "1 kB", True, -1, ["16 MiB"], "1e30", float("inf")]
)
def test_an_invalid_budget_is_refused(value):
    with pytest.raises(ValueError, match=r"^leandask.retention.budget must be a size "):
        as_budget("leandask.retention.budget", value)
    with pytest.raises(ValueError, match=r"^leandask.retention.budget must be a size "):
        Retention(budget=value)


def test_a_budget_comes_from_the_configuration():
    with dask.config.set({"leandask.retention.budget": "2 MiB"}):
        assert Retention.of({"events": 3}).budget == 2 * MIB


def test_describe_shows_every_bound_its_cost_and_the_sum():
    bounds = Retention(budget="16 MiB", departed=None).effective()
    table = bounds.describe().splitlines()
    assert len(table) == len(COSTS) + 2
    assert table[3].split() == ["topics", "2396", "700", "1.60", "MiB"]
    assert "in event-bytes" in table[2]
    # A thousand locks, at least, take more than their share of so small a budget.
    assert table[-1].split()[-2:] == ["16.95", "MiB"]
    unbounded = Retention(spans=None).describe()
    assert unbounded.count("unbounded") == 2


def test_the_documentation_names_every_bound_and_share():
    memory, bounds = (ROOT / f"docs/{name}.md" for name in ("memory", "bounds"))
    for name, cost in COSTS.items():
        assert f"`{name}`" in memory.read_text()
        assert f"| `{name}` |" in bounds.read_text()
        if cost.share:
            lines = memory.read_text().splitlines()
            [shares] = [s for s in lines if f"`{name}`" in s and " % " in s[:14]]
            assert shares.startswith(f"| {cost.share} % ")
