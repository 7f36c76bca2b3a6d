"""Bounds of a task stream, whose memory does not grow with the log."""

from __future__ import annotations

import pytest

from leandask.reading.runs import OTHERS, PREFIXES
from leandask.reading.taskruns import run_of
from leandask.reading.timeline.taskstream.details import Details
from leandask.reading.timeline.taskstream.rows import SPAN, Rows
from leandask.reading.timeline.taskstream.taskstream import TaskStream
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.logs import Log, timeline_of
from tests.helpers.taskstreams import unpacked
from tests.helpers.timelines import text_of


def run(*args, **kwargs):
    return run_of(Log().ran(*args, **kwargs).records[0])


def add(rows, *args, **kwargs):
    made = run(*args, **kwargs)
    rows.add(made, round(made.start * 1e6), 0)


def test_short_runs_are_merged_beyond_the_limit_and_long_ones_are_not():
    rows = Rows(limit=100)
    for i in range(1000):
        add(rows, i / 100, "inc-1", 0.5 if i % 100 == 99 else 0.001)
        assert len(rows) <= 100
    (row,) = rows
    spans = [*SPAN.iter_unpack(row.spans)]
    assert sum(span[6] for span in spans) == 1000
    assert sum(span[6] == 1 and span[1] == 500_000 for span in spans) == 10
    assert sum(span[1] - span[2] for span in spans) == 990 * 1000 + 10 * 500_000


@pytest.mark.parametrize("hostile", ["order", "length", "overlap"])
def test_no_order_of_runs_passes_the_limit(hostile):
    rows = Rows(limit=50)
    for i in range(500):
        seconds = {"order": i % 2 * 10**9, "length": i * 10**6, "overlap": i}[hostile]
        compute = {"order": 0.5, "length": 9e8 + i, "overlap": 9e8}[hostile]
        add(rows, seconds, "inc-1", compute, transfer_seconds=9e8)
        assert len(rows) <= 50
    (row,) = rows
    assert sum(span[6] for span in SPAN.iter_unpack(row.spans)) == 500


def test_the_row_that_ended_first_is_evicted():
    rows = Rows(rows_limit=2)
    add(rows, 10, "inc-1", worker=1)
    add(rows, 30, "inc-1", worker=2)
    add(rows, 20, "inc-2", worker=1)
    add(rows, 40, "inc-1", worker=3)
    assert [row.name for row in rows] == ["worker-2", "worker-3"]
    assert (rows.rows_hidden, rows.runs_hidden, len(rows)) == (1, 2, 2)


def test_details_keep_those_that_erred_and_the_longest():
    details = Details(limit=10)
    for i in range(1000):
        error = "ValueError()" if i % 250 == 0 else ""
        made = run(i, f"inc-{i}", compute=(i * 7) % 1000 / 1000, error=error)
        details.add(made, round(made.start * 1e6))
        assert len(details) <= 10
    kept = details.kept()
    assert [d.is_erred for d in kept] == [True] * 4 + [False] * 6
    longest = [d.compute for d in kept[4:]]
    assert longest == [999_000 - 1000 * i for i in range(6)]


def test_tasks_that_did_not_run_are_counted_and_not_drawn():
    log = Log().start(0).ran(1, "x-1", error="ValueError()")
    other = {"task_prefix": "y", "blamed_key": "x-1", "message": "y-1: as x-1 erred"}
    log.add(2, "dask.task.erred", task_key="y-1", **other)
    lost = {"worker": "tcp://10.0.0.1:4000", "workers_lost": ["tcp://10.0.0.1:4000"]}
    killed = "KilledWorker('z-1', 3)"
    prefix = {"task_prefix": "z", "blamed_key": "z-1"}
    log.add(
        3, "dask.task.erred", task_key="z-1", exception_text=killed, **prefix, **lost
    )
    timeline = timeline_of(log)
    tasks = timeline.tasks
    assert (tasks.runs, tasks.erred) == (2, 2)
    assert (tasks.blamed, tasks.unseen, len(tasks.rows)) == (1, 1, 1)
    assert timeline.marks["failed"].count == 3
    text = text_of(timeline)
    assert "1 run ended with their worker" in text
    assert "3 tasks erred" in text


WRONG = [
    *(("compute_seconds", value) for value in ("1", float("nan"), 1e300, True)),
    ("transfer_seconds", []),
    ("run_start", "soon"),
    ("run_start", 5),
    ("task_key", None),
    ("task_prefix", 5),
    ("worker", 5),
    ("worker_thread", 2.5),
    ("nbytes", 2**70),
]


@pytest.mark.parametrize("field, value", WRONG)
def test_a_wrong_field_is_counted_and_changes_nothing(field, value):
    timeline = Timeline()
    timeline.add(Log().ran(1, "x-1").records[0] | {field: value})
    assert timeline.wrong == {field: 1}
    assert repr(timeline.tasks) == repr(TaskStream())
    assert "could not be used" in text_of(timeline)


def test_a_clock_that_was_set_back_makes_no_time_negative():
    log = Log().start(0).ran(2, "x-1", -1, transfer_seconds=-5)
    _, rows = unpacked(timeline_of(log))
    (span,) = rows["worker-1", 1]
    assert (span.start, span.length, span.transfer) == (3_000_000, 0, 0)


def test_prefixes_beyond_the_limit_share_a_color():
    log = Log().start(0)
    for i in range(PREFIXES + 2):
        log.ran(i, f"{i}-1", 0.5)
    timeline = timeline_of(log)
    data, rows = unpacked(timeline)
    assert [span.prefix for span in rows["worker-1", 1]][-3:] == ["999", OTHERS, OTHERS]
    found = {prefix["name"]: prefix["runs"] for prefix in data["runs"]["prefixes"]}
    assert (len(found), found[OTHERS]) == (PREFIXES + 1, 2)
    assert "Each prefix beyond 1,000 counts as (others)" in text_of(timeline)
