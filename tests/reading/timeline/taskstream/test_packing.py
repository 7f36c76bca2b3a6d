"""The runs of tasks in a page: exact where there is room, never left out silently."""

from __future__ import annotations

import random

from leandask.reading.timeline.taskstream import packing
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.logs import HOSTILE, Log, timeline_of
from tests.helpers.taskstreams import Span, details_of, unpacked
from tests.helpers.timelines import data_of, text_of


def many(n, threads=4, seed=0):
    """A timeline of so many runs, whose lengths are unlike."""
    rng, timeline = random.Random(seed), Timeline()
    log, times = Log().start(0), [1.0] * threads
    for i in range(n):
        thread = rng.randrange(threads)
        compute = rng.lognormvariate(-5, 2)
        times[thread] += compute + rng.expovariate(500)
        error = "ValueError('odd')" if i % 1000 == 999 else ""
        log.ran(times[thread], f"step-{i}", compute, thread, thread, error)
        timeline.add(log.records.pop())
    return timeline


def test_a_run_is_packed_with_all_that_its_record_tells():
    log = Log().start(0)
    phases = {"transfer_seconds": 0.25, "disk_seconds": 0.125}
    log.ran(5, "load-1", 1.5, nbytes=28, deserialize_seconds=0.001, **phases)
    log.ran(6, "sum-1", 0.000001, error="ValueError('odd')")
    log.ran(7, "sum-2", 2, worker=10)
    log.ran(8, "sum-3", 1, worker=2, thread=7)
    data, rows = unpacked(timeline_of(log.stop(9)))
    # By name, with numbers as numbers.
    assert [*rows] == [("worker-1", 1), ("worker-2", 7), ("worker-10", 1)]
    first, second = rows["worker-1", 1]
    s = 1_000_000
    assert first == Span(3.5 * s, 1.5 * s, 0, s / 4, s / 8, 1000, 1, "load", False)
    assert second == Span(6 * s - 1, 1, 0, 0, 0, 0, 1, "sum", True)
    assert details_of(data) == [
        (0, 3.5 * s, "load-1", 28, None),
        (0, 6 * s - 1, "sum-1", -1, "ValueError('odd')"),
        (1, 7 * s, "sum-3", -1, None),
        (2, 5 * s, "sum-2", -1, None),
    ]
    prefixes = {p["name"]: (p["runs"], p["erred"]) for p in data["runs"]["prefixes"]}
    assert prefixes == {"load": (1, 0), "sum": (3, 1)}


def test_a_run_that_ends_late_may_have_begun_before_others():
    log = Log().start(0).ran(3, "short-1", 1).ran(9, "left-its-thread-1", 8)
    _, rows = unpacked(timeline_of(log))
    assert [span.start for span in rows["worker-1", 1]] == [2_000_000, 1_000_000]


def test_the_axis_begins_with_what_came_before_the_first_run():
    log = Log().ran(5, "load-1", 1, transfer_seconds=2)
    data, rows = unpacked(timeline_of(log))
    assert rows["worker-1", 1][0].start == 2_000_000
    assert len(data["bins"]) == 1


def test_a_page_that_would_be_too_large_rounds_times_then_merges_short_runs(
    monkeypatch,
):
    exact = unpacked(many(4000))[1]
    size = len(packing.packed(many(4000).tasks, 0)["spans"]["bytes"])
    for share, n in ((0.9, 4000), (0.5, 2000)):
        monkeypatch.setattr(packing, "SPANS_BYTES", int(size * share))
        timeline = many(4000)
        data, rows = unpacked(timeline)
        assert len(data["runs"]["spans"]["bytes"]) <= size * share
        text = text_of(timeline)
        assert "Times of runs are rounded to 16 µs" in text
        assert ("short ones are merged" in text) == (share == 0.5)
        assert n * 0.5 < sum(map(len, rows.values())) <= n
        for thread, spans in rows.items():
            assert sum(span.n for span in spans) == len(exact[thread])
            busy = sum(span.length - span.idle for span in spans)
            expected = sum(span.length for span in exact[thread])
            assert abs(busy - expected) <= 16 * len(exact[thread])
            # The longest are as they were.
            longest = max(exact[thread], key=lambda span: span.length)
            assert any(
                abs(span.start - longest.start) <= 16
                and abs(span.length - longest.length) <= 32
                and span.n == 1
                for span in spans
            )
        if share == 0.9:  # else those of merged runs are in their spans
            starts = [{span.start for span in spans} for spans in rows.values()]
            assert all(start in starts[row] for row, start, *_ in details_of(data))
        # Those that erred are not merged into others.
        erred = [s for spans in rows.values() for s in spans if s.is_erred]
        assert sum(span.n for span in erred) == 4


def test_the_keys_in_a_page_are_those_that_erred_and_of_the_longest_runs(monkeypatch):
    monkeypatch.setattr(packing, "DETAILS_BYTES", 2000)
    timeline = many(4000)
    data = data_of(timeline)
    found = details_of(data)
    assert len(data["runs"]["details"]["bytes"]) <= 2000
    keys = {key for _, _, key, _, _ in found}
    assert keys >= {"step-999", "step-1999", "step-2999", "step-3999"}
    assert 10 < len(found) < 400
    assert f"The keys of {len(found)} runs are in this page" in text_of(timeline)
    # A key belongs to a run that the page draws.
    rows = [*unpacked(timeline)[1].values()]
    for row, start, *_ in found:
        assert any(span.start == start for span in rows[row])


def test_hostile_texts_are_packed_as_texts():
    log = Log().start(0)
    for i, text in enumerate(HOSTILE):
        log.ran(i + 1, f"{text}-1", 0.5, thread=i, error=text, task_prefix=text)
        log.records[-1] |= {"worker": text, "worker_name": text}
    data, rows = unpacked(timeline_of(log))
    assert {name for name, _ in rows} >= {HOSTILE[0], HOSTILE[1], "\\ud800 alone"}
    keys = [key for _, _, key, _, _ in details_of(data)]
    assert f"{HOSTILE[0]}-1" in keys and "\\ud800 alone-1" in keys


def test_a_log_without_runs_has_none():
    assert data_of(timeline_of(Log().start(0)))["runs"] is None
