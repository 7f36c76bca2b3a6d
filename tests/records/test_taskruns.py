"""The records of runs that are made from tuples."""

from __future__ import annotations

from types import SimpleNamespace

from leandask.records.factory import RecordFactory
from leandask.records.taskruns import RunRecords

GROUP = SimpleNamespace(
    name="inc-1", prefix=SimpleNamespace(name="inc"), span_id="span-1"
)
COMPUTE = {"action": "compute", "start": 0.25, "stop": 1.5}


def finished(records=None, *, worker="tcp://a:1", name="a", told=(), startstops=()):
    records = records or RunRecords(RecordFactory("s-1"))
    run = 2.0, ("inc-1", 0), GROUP, worker, name, 3, None
    return records.finished(7, (*run, *told, startstops))[2]


def test_a_run_has_the_fields_of_the_schema_in_their_order():
    told = 5, 140, 28, "int", "task-finished-1"
    transfer = {"action": "transfer", "start": 0.0, "stop": 0.125}
    fields = finished(told=told, startstops=[transfer, COMPUTE])
    assert [*fields.items()][8:] == [
        ("seq", 7),
        ("task_key", "('inc-1', 0)"),
        ("task_prefix", "inc"),
        ("task_group", "inc-1"),
        ("dask_span_id", "span-1"),
        ("worker", "tcp://a:1"),
        ("worker_name", "a"),
        ("retries_left", 3),
        ("run_id", 5),
        ("worker_thread", 140),
        ("nbytes", 28),
        ("type", "int"),
        ("stimulus_id", "task-finished-1"),
        ("transfer_seconds", 0.125),
        ("run_start", "1970-01-01T00:00:00.250000Z"),
        ("compute_seconds", 1.25),
    ]


def test_a_run_has_no_field_for_what_the_worker_did_not_tell():
    fields = finished(told=(5, None, None, None, "task-erred-1"))
    assert [*fields][-3:] == ["retries_left", "run_id", "stimulus_id"]


def test_runs_of_a_group_share_no_values_of_their_own():
    records = RunRecords(RecordFactory("s-1"))
    told = 5, 140, 28, "int", "task-finished-1"
    finished(records, told=told, startstops=[COMPUTE])
    fields = finished(records, name="b", told=(6, None, 28, "int", "task-finished-2"))
    assert fields["worker_name"] == "b"
    assert fields["run_id"] == 6
    assert not {"worker_thread", "run_start", "compute_seconds"} & {*fields}
