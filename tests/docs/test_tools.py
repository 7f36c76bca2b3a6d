"""Common tools read the event log as it is."""

from __future__ import annotations

import shutil
import subprocess

import dask
import pytest
from distributed import Client, Worker
from distributed.utils_test import gen_test, inc

from tests.helpers.compressed import ENDINGS, expanded
from tests.helpers.processes import records_of
from tests.helpers.schedulers import lean

TASKS = 500


@pytest.fixture(scope="module", params=["", *ENDINGS])
def log(request, tmp_path_factory):
    """The log of a run with all transitions, and their number."""
    path = tmp_path_factory.mktemp("log") / f"log.jsonl{request.param}"
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
    records = records_of(path)
    found = [r for r in records if r["event_name"] == "dask.task.transition"]
    assert len(found) == transitions >= 3 * TASKS
    assert {r["logger"] for r in found} == {"leandask.transitions"}
    assert sum(r["task_finish"] == "memory" for r in found) == TASKS
    assert records[-1]["transitions_total"] == transitions


def test_pandas(log):
    pandas = pytest.importorskip("pandas")
    path, transitions = log
    if path.suffix == ".zst":
        pytest.importorskip("zstandard")
    frame = pandas.read_json(path, lines=True)
    counts = frame.event_name.value_counts()
    assert counts["dask.task.transition"] == transitions
    assert (frame.task_finish == "memory").sum() == TASKS
    assert frame.timestamp.is_monotonic_increasing or frame.seq.is_monotonic_increasing


def test_polars(log):
    polars = pytest.importorskip("polars")
    path, transitions = log
    frame = polars.scan_ndjson(path, infer_schema_length=None).collect()
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
    text = expanded(path)
    out = subprocess.check_output([jq, "-r", query], input=text).decode()
    assert len(out.splitlines()) == transitions


@pytest.mark.parametrize("program", ["zcat", "zstdcat"])
def test_programs_that_expand_files(log, program):
    path, transitions = log
    if path.suffix != {"zcat": ".gz", "zstdcat": ".zst"}[program]:
        pytest.skip("another program expands it")
    if not (command := shutil.which(program)):
        pytest.skip(f"{program} is not installed")
    text = subprocess.check_output([command, path])
    assert text.count(b'"event_name":"dask.task.transition"') == transitions
