"""Common tools read the event log as it is."""

from __future__ import annotations

import json
import shutil
import subprocess

import dask
import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc

from tests.helpers.schedulers import lean

TASKS = 500


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The log of a run with all transitions, and their number."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    config = {"leandask.event-log.path": str(path), "leandask.stream.transitions": True}

    @gen_test(config=config, timeout=100)
    async def run():
        with dask.config.set(config):
            async with (
                lean() as s,
                Worker(s.address),
                Client(s.address, asynchronous=True) as client,
            ):
                await client.gather(client.map(inc, range(TASKS)))
        return s.transition_counter

    return path, run()


def test_there_is_a_record_of_every_transition(log):
    path, transitions = log
    records = [json.loads(line) for line in path.read_text().splitlines()]
    found = [r for r in records if r["event_name"] == "dask.task.transition"]
    assert len(found) == transitions >= 3 * TASKS
    assert {r["logger"] for r in found} == {"leandask.transitions"}
    assert sum(r["task_finish"] == "memory" for r in found) == TASKS
    assert records[-1]["transitions_total"] == transitions


def test_pandas(log):
    pandas = pytest.importorskip("pandas")
    path, transitions = log
    frame = pandas.read_json(path, lines=True)
    counts = frame.event_name.value_counts()
    assert counts["dask.task.transition"] == transitions
    assert (frame.task_finish == "memory").sum() == TASKS
    assert frame.timestamp.is_monotonic_increasing or frame.seq.is_monotonic_increasing


def test_polars(log):
    polars = pytest.importorskip("polars")
    path, transitions = log
    frame = polars.read_ndjson(path, infer_schema_length=None)
    found = frame.filter(polars.col("event_name") == "dask.task.transition")
    assert len(found) == transitions
    assert found.schema["recommendation_keys"] == polars.List(polars.String)


def test_duckdb(log):
    duckdb = pytest.importorskip("duckdb")
    path, transitions = log
    query = (
        "select count(*), sum((task_finish = 'memory')::int), max(timestamp)::varchar "
        f"from read_json('{path}') where event_name = 'dask.task.transition'"
    )
    count, in_memory, latest = duckdb.sql(query).fetchall()[0]
    assert (count, in_memory) == (transitions, TASKS)
    assert latest.startswith("20")


def test_jq(log):
    if not (jq := shutil.which("jq")):
        pytest.skip("jq is not installed")
    path, transitions = log
    query = 'select(.event_name == "dask.task.transition") | .task_key'
    out = subprocess.check_output([jq, "-r", query, path], text=True)
    assert len(out.splitlines()) == transitions
