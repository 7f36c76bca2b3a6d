"""Bounds of a timeline, whose memory does not grow with the log."""

from __future__ import annotations

import random
import tracemalloc

from leandask.reading.histogram import Histogram
from leandask.reading.timeline import marks, schedulers, workers
from leandask.reading.timeline.page import render
from leandask.reading.timeline.timeline import NOTES, Timeline
from tests.helpers.logs import Log
from tests.helpers.timelines import text_of


def test_remarks_are_bounded():
    timeline = Timeline()
    for i in range(100):
        timeline.note(f"<b>remark {i}</b>" + "x" * 1000)
    assert len(timeline.notes) == NOTES
    assert "80 more remarks about the log" in text_of(timeline)
    assert "<b>remark" not in render(timeline)


def test_bins_keep_all_counts_as_they_widen():
    histogram = Histogram(columns=1, limit=64)
    rng = random.Random(0)
    times = [rng.randrange(10**12) for _ in range(2000)]
    for ms in times:
        histogram.row(ms)[0] += 1
        assert len(histogram.rows) <= 64
    assert sum(row[0] for _, row in histogram.sorted()) == len(times)
    for start, (n,) in histogram.sorted():
        assert n == sum(start <= ms < start + histogram.width for ms in times)


def test_memory_does_not_grow_with_the_log():
    timeline = Timeline()
    text = "é" * 3000

    def fill(first, n):
        for i in range(first, first + n):
            log = Log(f"Scheduler-{i // 4}", seq=i % 4 * 9)
            worker = f"tcp://{i}:{text}"
            log.event(i * 60, "all", "add-worker", worker=worker)
            if i % 3:
                log.event(i * 60, "all", "remove-worker", 13, worker)
            log.event(i * 60, f"{i}{text}", "odd", 13)
            log.task(i * 60, f"{i}{text}", "processing", "erred")
            for record in log.records:
                timeline.add(record)
            timeline.note(text)

    tracemalloc.start()
    try:
        fill(0, 6000)
        before = tracemalloc.get_traced_memory()[0]
        fill(6000, 2000)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # Only ints grow, and the fill of the bins goes up and down.
    assert after < before + 2**21
    assert before < 20 * 2**20
    assert len(timeline.schedulers) == schedulers.SCHEDULERS
    assert len(timeline.workers.stays) == workers.WORKERS_SHOWN
    assert len(timeline.histogram.rows) <= timeline.histogram.limit
    assert {len(m) for m in timeline.marks.values()} <= {
        0,
        marks.FIRST + marks.NEWEST,
    }
    text = text_of(timeline)
    assert "first and the 800 newest are listed" in text
    assert "have no lane" in text
    assert "have no bar of their own" in text
