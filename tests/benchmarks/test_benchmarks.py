"""The benchmarks run, and write what they should."""

from __future__ import annotations

import json

import pytest

from benchmarks.scenarios import QUICK, TITLES

# They need the extra "benchmarks".
plots = pytest.importorskip("benchmarks.harness.plot")
soak = pytest.importorskip("benchmarks.soak")
suite = pytest.importorskip("benchmarks.__main__")


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_the_suite_compares_three_schedulers_and_draws_them(tmp_path):
    scenarios = {"start": QUICK["start"]}
    results = suite.measure(
        scenarios, rounds=2, stream_rounds=1, count=5_000, tasks=500, settle=0.5
    )
    rows = suite.tables(scenarios, json.loads(json.dumps(results))).splitlines()
    [start] = [row for row in rows if row.startswith("| `start`: At start")]
    upstream, recommended, ours, of_upstream, of_recommended = map(
        float, start.strip("|").split("|")[1:]
    )
    assert ours < upstream
    assert of_upstream == pytest.approx(ours / upstream, abs=0.01)
    assert of_recommended == pytest.approx(ours / recommended, abs=0.01)
    [cpu] = [row for row in rows if row.startswith("| `start` |")]
    assert float(cpu.split("|")[4]) > 0
    assert [row.split("|")[1].strip() for row in rows if "±" in row] == [
        *suite.COMPARED,
        "all-logged",
    ]
    plots.plot(results["results"], TITLES, tmp_path / "memory.png")
    assert (tmp_path / "memory.png").stat().st_size > 10_000


def test_a_soak_distinguishes_a_slope_from_none(tmp_path):
    flat = [(60.0 * i, 200.0 + i % 3, 1000 * i) for i in range(60)]
    rising = [(t, rss + t / 360, n) for t, rss, n in flat]
    assert soak.slope(soak.second_half(flat)).flat
    slope, margin = soak.slope(soak.second_half(rising))
    assert slope == pytest.approx(10, abs=margin)
    assert margin < 5
    samples = [(t, rss) for t, rss, _ in rising]
    plots.plot_soak({"leandask": {"samples": samples}}, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 5_000
