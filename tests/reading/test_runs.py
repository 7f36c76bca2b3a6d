from __future__ import annotations

import math
import random

import dask
import orjson
import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc

from leandask import LeanScheduler, LogReader
from leandask.reading import runs
from leandask.reading.filter import EventFilter, Filter, Story
from leandask.reading.lines import InvalidRecord
from leandask.reading.runs import OTHERS, Durations, RunStats, place_of
from leandask.reading.stats import LogStats
from leandask.reading.taskruns import TaskRun, run_of
from tests.helpers.logs import T0, run_record, transition_record, write
from tests.helpers.schedulers import LOCAL


def stats_of(*records):
    stats = RunStats()
    for record in records:
        stats.add(record)
    return stats.as_dict()


def written(path, *records):
    lines = [orjson.dumps(r | {"seq": i}) + b"\n" for i, r in enumerate(records, 1)]
    return LogReader(write(path, *lines))


def test_quantiles_are_exact_to_a_fortieth():
    numbers = random.Random(0)
    durations, seconds = Durations(), []
    for _ in range(10_000):
        seconds.append(math.exp(numbers.gauss(-3, 2)))
        durations.add(seconds[-1])
    seconds.sort()
    for part in (0.5, 0.99):
        exact = seconds[int(part * len(seconds)) - 1]
        assert durations.quantile(part) == pytest.approx(exact, rel=0.026)
    found = durations.as_dict()
    assert found["max"] == pytest.approx(seconds[-1], abs=1e-6)
    assert found["total"] == pytest.approx(sum(seconds), abs=1e-6)


def test_any_duration_has_a_place():
    durations = Durations()
    for seconds in (0.0, -1.0, 1e-12, 1e300):
        durations.add(seconds)
    assert durations.quantile(1.0) <= 1.05e9


def test_runs_are_counted_by_prefix_with_the_seconds_of_each_phase():
    found = stats_of(
        run_record(1, "inc-1", compute=0.1, nbytes=10),
        run_record(2, "inc-2", compute=0.3, nbytes=20, transfer_seconds=0.5),
        run_record(3, "sum-1", compute=9.0),
        run_record(4, "inc-3", erred="ValueError('no')", compute=0.2),
    )["prefixes"]
    assert [*found] == ["sum", "inc"]  # what took most comes first
    inc = found["inc"]
    assert (inc["count"], inc["erred"], inc["nbytes"]) == (3, 1, 30)
    assert inc["compute_seconds"]["total"] == pytest.approx(0.6)
    assert inc["compute_seconds"]["mean"] == pytest.approx(0.2)
    assert inc["compute_seconds"]["p50"] == pytest.approx(0.2, rel=0.026)
    assert inc["transfer_seconds"]["max"] == 0.5
    assert "disk_seconds" not in inc


def test_a_worker_is_busy_for_a_part_of_the_time_of_its_threads():
    found = stats_of(
        run_record(1, compute=1.0, worker_thread=1),
        run_record(2, compute=1.0, worker_thread=2),
        run_record(4, compute=2.0, worker_thread=1),
    )["workers"]
    assert found == {
        "tcp://127.0.0.1:1": {
            "name": "w-1",
            "count": 3,
            "erred": 0,
            "threads": 2,
            "compute_seconds": 4.0,
            "busy": 0.5,  # of 4 seconds of 2 threads
        }
    }


def test_errors_of_one_place_in_the_code_are_one():
    first, *others = [
        run_record(i, f"inc-{i}", erred=f"ValueError({i})") for i in range(3)
    ]
    elsewhere = run_record(4, "sum-1", erred="KeyError('x')", exception_type="KeyError")
    blaming = run_record(5, "inc-9", erred="no", blamed_key="inc-1", worker=None)
    del blaming["worker"]
    found = stats_of(first, *others, elsewhere, blaming)
    assert [(e["count"], e["type"], e["line"]) for e in found["errors"]] == [
        (3, "ValueError", "x.py:1, in f"),
        (1, "KeyError", "x.py:1, in f"),
    ]
    assert found["errors"][0]["first_key"] == "inc-0"
    assert found["errors"][0]["text"] == "ValueError(0)"
    assert found["errors"][0]["prefixes"] == {"inc": 3}
    assert found["prefixes"]["inc"]["count"] == 3  # the one that blames did not run


def test_the_place_is_that_of_the_last_call():
    text = '  File "a.py", line 1, in outer\n    x()\n  File "b.py", line 2, in inner\n'
    assert place_of(text) == "b.py:2, in inner"
    assert place_of("") == ""


def test_names_have_a_bound(monkeypatch):
    for name in ("PREFIXES", "WORKERS", "ERRORS"):
        monkeypatch.setattr(runs, name, 2)
    found = stats_of(
        *[
            run_record(i, f"p{i}-1", worker=f"w{i}", erred=f"E{i}", exception="")
            for i in range(5)
        ]
    )
    assert found["prefixes"].keys() == {"p0", "p1", OTHERS}
    assert found["prefixes"][OTHERS]["count"] == 3
    assert found["workers"][OTHERS]["count"] == 3
    assert sorted(error["count"] for error in found["errors"]) == [1, 1, 3]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("compute_seconds", "1"),
        ("compute_seconds", float("inf")),
        ("transfer_seconds", None),
        ("run_start", "soon"),
        ("nbytes", 2**60),
        ("exception", ["x"]),
    ],
)
def test_a_run_that_breaks_the_schema_is_counted_as_wrong(name, value, tmp_path):
    record = run_record(1, **{name: value})
    with pytest.raises(InvalidRecord):
        run_of(record)
    stats = LogStats()
    stats.add(record)
    assert stats.as_dict()["wrong"] == 1
    assert "prefixes" not in stats.as_dict()
    reader = written(tmp_path / "log.jsonl", run_record(0), run_record(1, nbytes="x"))
    assert len([*reader.tasks()]) == 1
    assert reader.problems.counts["corrupt"] == 1


def test_filters_find_runs():
    ran = run_record(5, "inc-1", stimulus_id="s-1")
    erred = run_record(6, "inc-2", erred="no", worker="tcp://127.0.0.1:2")
    other = transition_record(7, "inc-1", "processing", "memory")
    for filters, found in [
        ({"key": "inc-1"}, [ran, other]),
        ({"worker": "tcp://127.0.0.1:2"}, [erred]),
        ({"stimulus_id": "s-1"}, [ran]),
        ({"level": "WARNING"}, [erred]),
        ({"event_name": "dask.task.erred"}, [erred]),
        ({"topic": "all"}, []),
    ]:
        wanted = Filter(**filters)
        assert [r for r in (ran, erred, other) if wanted.matches(r)] == found
    story = Story("inc-1")
    assert [r for r in (ran, erred, other) if story.matches(r)] == [ran, other]


def test_a_list_of_events_has_runs_that_erred_by_themselves_only():
    ran, erred = run_record(5), run_record(6, erred="no")
    blaming = erred | {"severity": "DEBUG", "severity_number": 5}
    wanted = EventFilter()
    assert [r for r in (ran, erred, blaming) if wanted.matches(r)] == [erred]
    assert EventFilter(event_name="dask.task.finished").matches(ran)


def test_tasks_takes_the_filters_of_records(tmp_path):
    path = tmp_path / "log.jsonl"
    reader = written(path, *[run_record(i, f"inc-{i}") for i in range(4)])
    (run,) = reader.tasks(key="inc-2")
    assert (run.key, run.status, run.worker_name) == ("inc-2", "finished", "w-1")
    assert (run.start, run.stop) == (T0 + 1.5, T0 + 2.0)
    with pytest.raises(ValueError, match=r"event_name must be one of dask\.task"):
        reader.tasks(event_name="dask.event")
    assert [*reader.tasks(event_name="dask.task.erred")] == []


def test_runs_as_a_data_frame(tmp_path):
    pandas = pytest.importorskip("pandas")
    erred = run_record(2, "inc-2", erred="no")
    del erred["run_start"], erred["compute_seconds"]
    reader = written(tmp_path / "log.jsonl", run_record(1, nbytes=28), erred)
    frame = reader.tasks().to_pandas()
    assert frame["nbytes"].tolist() == [28, pandas.NA]
    assert frame["start"][0] == pandas.Timestamp(T0 + 0.5, unit="s", tz="UTC")
    assert frame["start"].isna().tolist() == [False, True]
    assert [*frame.columns] == [*TaskRun._fields]


def test_runs_as_a_parquet_file(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("leandask.reading.taskruns.ROW_GROUP", 3)
    reader = written(tmp_path / "log.jsonl", *[run_record(i) for i in range(10)])
    assert reader.tasks().to_parquet(tmp_path / "runs.parquet") == 10
    table = parquet.read_table(tmp_path / "runs.parquet")
    assert table.num_rows == 10
    assert str(table.schema.field("stop").type) == "timestamp[us, tz=UTC]"
    stops = [stop.timestamp() for stop in table.column("stop").to_pylist()]
    assert stops == [T0 + i for i in range(10)]
    assert table.column("compute").to_pylist() == [0.5] * 10


@gen_test()
async def test_the_log_has_the_runs_that_the_task_stream_has(tmp_path):
    path = tmp_path / "log.jsonl"
    with dask.config.set({"leandask.event-log.path": str(path)}):
        async with (
            LeanScheduler(**LOCAL) as s,
            Worker(s.address, nthreads=2, name="a"),
            Client(s.address, asynchronous=True) as c,
        ):
            await c.get_task_stream()  # starts it
            await c.gather(c.map(inc, range(200)))
            stream = await c.get_task_stream()
    runs = LogReader(path).tasks()
    ours = {(run.key, run.worker, run.thread, run.nbytes) for run in runs}
    theirs = {(t["key"], t["worker"], t["thread"], t["nbytes"]) for t in stream}
    assert ours == theirs
    assert len(ours) == 200
