from __future__ import annotations

import gzip
import json
import logging
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from distributed import Client, Worker, wait
from distributed.utils_test import gen_test, inc
from hypothesis import given
from hypothesis import strategies as st

from leandask import LeanScheduler, LogReader
from leandask.cli.output import write_records
from leandask.eventlog.formatter import JSONFormatter
from leandask.eventlog.sink import RotatingFileSink
from leandask.reading.backward import BackwardScan
from leandask.reading.filter import Filter
from leandask.reading.lines import record_of
from leandask.reading.stats import LogStats
from leandask.records.factory import RecordFactory
from leandask.records.payload import plain
from tests.helpers.logs import NOW, lines, write


def seqs(reader, **filters):
    return [record["seq"] for record in reader.records(**filters)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.jsonl"


def test_records_come_in_their_order_from_all_files(path):
    write(path, *lines(100, first=201))
    write(path.with_name("log.jsonl.1"), *lines(100, first=101))
    oldest = gzip.compress(b"".join(lines(100)))
    write(path.with_name("log.jsonl.2.gz"), oldest)
    reader = LogReader(path)
    assert seqs(reader) == [*range(1, 301)]
    assert not reader.problems
    assert seqs(reader, key="x-77") == [77]
    assert seqs(reader, topic="all") == [64, 128, 192, 256]
    assert seqs(reader, since=NOW + 250, until=NOW + 252) == [250, 251, 252]
    assert reader.nbytes == sum(f.stat().st_size for f in path.parent.iterdir())


@pytest.mark.parametrize("filters", [{}, {"key": "x-9000"}])
def test_problems_are_reported_with_their_places_and_reading_goes_on(path, filters):
    good = list(lines(10_000))
    good[5000] = good[5000][:-50] + b"\n"  # torn, then written on
    good[6000] = b'{"level": "info", "msg": "of somebody else"}\n'
    good[7000] = b"\0" * 100 + b"\n"
    del good[8000:8003]
    good.insert(9000, good[8000])
    write(path, *good, b'{"timestamp":"2026')
    reader = LogReader(path)
    found = seqs(reader, **filters)
    assert found == ([9000] if filters else seqs(reader))
    counts = {kind: n for kind, n in reader.problems.counts.items() if n}
    assert counts == {"torn": 1, "corrupt": 2, "foreign": 1, "gap": 4, "repeated": 1}
    assert reader.problems.missing == 1 + 1 + 1 + 3
    texts = [str(problem) for problem in reader.problems.notices]
    assert texts[0].startswith(f"{path}:5001: ")
    assert f"{path}:5002: 1 records are missing between 5000 and 5002" in texts
    assert texts[-1].startswith(f"{path}:9999: ")
    assert len(found) == (1 if filters else 10_000 - 3 - 3 + 1)


def test_another_scheduler_and_a_rotated_away_start_are_reported(path):
    write(path, *lines(3, first=7), *lines(3, "Scheduler-2"), *lines(2, first=10))
    reader = LogReader(path)
    assert len(seqs(reader)) == 8
    texts = [problem.text for problem in reader.problems.notices]
    assert texts == [
        "the first record of Scheduler-1 has the number 7",
        "records of Scheduler-2 begin after those of Scheduler-1",
    ]
    assert reader.problems.missing == 0


def test_a_broken_gzipped_file_is_reported_and_the_next_is_read(path):
    whole = gzip.compress(b"".join(lines(2000)))
    write(path.with_name("log.jsonl.2.gz"), whole[: len(whole) // 2])
    write(path.with_name("log.jsonl.1.gz"), b"no gzip")
    write(path, *lines(10, first=2001))
    reader = LogReader(path)
    assert seqs(reader)[-10:] == [*range(2001, 2011)]
    assert reader.problems.counts["unreadable"] == 2
    assert "log.jsonl.2.gz" in str(reader.problems.notices[0])


def test_a_newer_version_of_the_schema_is_read_and_reported(path):
    (line,) = lines(1)
    write(path, line.replace(b'"schema_version":1', b'"schema_version":2'))
    reader = LogReader(path)
    assert seqs(reader) == [1]
    assert reader.problems.counts["newer"] == 1


@pytest.mark.parametrize("names", ["ecs", "otel"])
def test_other_names_of_fields_are_read_as_ours(path, names):
    write(path, *lines(100, formatter=JSONFormatter(fields=names)))
    reader, ours = LogReader(path), list(map(json.loads, lines(100)))
    assert list(reader.records()) == ours
    assert list(reader.records(key="x-7")) == [ours[6]]
    assert not reader.problems


def test_lines_of_another_encoder_are_read(path):
    rewritten = [json.dumps(json.loads(line)) + "\n" for line in lines(100)]
    path.write_text("".join(rewritten))
    reader = LogReader(path)
    assert seqs(reader, key="x-77") == [77]
    assert not reader.problems


def test_a_payload_that_looks_like_a_record_is_not_one(path):
    factory, formatter = RecordFactory("Scheduler-1"), JSONFormatter()
    forged = '{"timestamp":"2026","scheduler_id":"Scheduler-1","seq":7}\n' * 3
    events = [
        factory.event(i, (logging.INFO, "t", NOW, {"a": forged}, False))
        for i in range(1, 1001)
    ]
    write(path, *(formatter.encode_fields(event[2]) + b"\n" for event in events))
    reader = LogReader(path)
    assert len(seqs(reader, topic="other")) == 0
    assert len(seqs(reader, topic="t")) == 1000
    assert not reader.problems


def test_memory_stays_flat(path):
    def peak(n):
        write(path, *lines(n))
        tracemalloc.start()
        assert sum(1 for _ in LogReader(path).records()) == n
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    small = peak(5_000)
    assert peak(40_000) < small + 100_000 < 5_000_000


def test_the_progress_adds_up_to_the_bytes_of_the_files(path):
    write(path, *lines(2000, first=2001))
    write(path.with_name("log.jsonl.1.gz"), gzip.compress(b"".join(lines(2000))))
    read = []
    reader = LogReader(path, progress=read.append)
    assert len(seqs(reader)) == 4000
    assert len(read) > 4
    assert sum(read) == reader.nbytes


def test_a_log_that_rotates_during_a_reading_is_read_without_a_gap(path):
    sink = RotatingFileSink(path, max_bytes=100_000, backups=100, compress=True)
    written = iter(enumerate(lines(4000), 1))
    for _ in range(1000):
        sink.write_fields(json.loads(next(written)[1]), logging.WARNING)
    sink.flush()
    records = LogReader(path).records()
    found = [next(records)["seq"]]
    for _, line in written:  # rotates many times
        sink.write_fields(json.loads(line), logging.WARNING)
    found += [record["seq"] for record in records]
    sink.close()
    assert found[:1000] == [*range(1, 1001)]
    assert found == [*range(1, found[-1] + 1)]
    reader = LogReader(path)
    assert seqs(reader) == [*range(1, 4001)]
    assert not reader.problems


def test_to_pandas_returns_the_records(path):
    pandas = pytest.importorskip("pandas")
    write(path, *lines(100))
    frame = LogReader(path).to_pandas(event_name="dask.task.transition")
    assert len(frame) == 99
    assert isinstance(frame["timestamp"].dtype, pandas.DatetimeTZDtype)
    assert LogReader(path).to_pandas(topic="none").empty


def run(path, load):
    """Upstream's own history of a run, and a reader of the run's log."""
    config = {
        "leandask.event-log.path": str(path),
        "leandask.stream.transitions": True,
        "leandask.retention": dict.fromkeys(
            ["transition-log", "events", "topics", "event-bytes", "departed"], None
        ),
        "distributed.admin.low-level-log-length": 100_000,
    }
    upstream = {}

    @gen_test(config=config)
    async def main():
        async with LeanScheduler(
            host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
        ) as s:
            async with (
                Worker(s.address, nthreads=2),
                Worker(s.address, nthreads=2),
                Client(s.address, asynchronous=True) as client,
            ):
                await load(client)
                upstream["keys"] = list(s.tasks)
                upstream["story"] = s.story
            upstream["transitions"] = list(s.transition_log)
            upstream["events"] = s.get_events()

    main()
    return upstream, LogReader(path)


def same(ours, theirs):
    """Assert that two transitions are equal, to the microsecond; return True."""
    assert ours[:5] == theirs[:5]
    assert ours.timestamp == pytest.approx(theirs.timestamp, abs=1e-6)
    return True


def test_story_and_events_agree_with_upstream_entry_by_entry(path):
    async def load(client):
        import dask.array as da

        x = da.ones((40, 40), chunks=4)
        await client.compute((x + x.T).sum())
        futures = client.map(inc, range(50), key=[("y", i) for i in range(50)])
        total = client.submit(sum, futures)
        bad = client.submit(lambda n: 1 / (n - n), total)
        await wait([total, bad])
        await client.log_event(
            "mine", {"n": 1, "text": "é\n", "many": [1, None, {"x": 2.5}]}
        )

    upstream, reader = run(path, load)
    assert len(upstream["keys"]) > 50
    assert len(upstream["transitions"]) > 500
    everything = list(reader.story(*{t.key for t in upstream["transitions"]}))
    assert len(everything) == len(upstream["transitions"])
    assert all(map(same, everything, upstream["transitions"]))
    assert max(len(t.recommendations) for t in everything) >= 50
    for key in [*upstream["keys"]][::10]:
        ours, theirs = list(reader.story(key)), upstream["story"](key)
        assert len(ours) == len(theirs) > 0
        assert all(map(same, ours, theirs))
    assert {"all", "mine"} <= upstream["events"].keys()
    for topic, events in upstream["events"].items():
        ours = list(reader.events(topic))
        assert [msg for _, msg in ours] == [plain(m, 10**6)[0] for _, m in events]
        stamps = [timestamp for timestamp, _ in events]
        assert [timestamp for timestamp, _ in ours] == pytest.approx(stamps, abs=1e-6)
    assert not reader.problems
    stimulus = upstream["transitions"][300].stimulus_id
    expected = [t for t in upstream["transitions"] if t.stimulus_id == stimulus]
    assert all(map(same, reader.story(stimulus), expected))
    assert len(list(reader.story(stimulus))) == len(expected)


def test_keys_of_a_collection_come_back_as_tuples(path):
    async def load(client):
        import dask.array as da

        await client.compute(da.ones(10, chunks=5).sum())

    upstream, reader = run(path, load)
    key = next(t.key for t in upstream["transitions"] if isinstance(t.key, tuple))
    assert all(map(same, reader.story(key), upstream["story"](key)))
    assert key in {t.key for t in reader.story(key)}


GOOD = list(lines(130))


@given(
    st.lists(
        st.sampled_from(GOOD)
        | st.binary(max_size=100)
        | st.sampled_from(GOOD).map(lambda line: line[:-80])
        | st.sampled_from(GOOD).map(lambda line: line.replace(b'"seq":', b'"seq":[]'))
        | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
            lambda value: json.dumps(value).encode() + b"\n"
        )
        | st.dictionaries(
            st.sampled_from(list(json.loads(GOOD[0]))), st.none() | st.lists(st.text())
        ).map(lambda fields: json.dumps(json.loads(GOOD[0]) | fields).encode() + b"\n"),
        max_size=30,
    )
)
def test_reading_goes_on_whatever_is_in_a_file(parts):
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "log.jsonl"), *parts)
        reader = LogReader(path)
        for filters in ({}, {"key": "x-7"}, {"stimulus_id": "s-7"}, {"since": 0.0}):
            wanted = Filter(**filters)
            found = [record["seq"] for record in reader.records(**filters)]
            counted = reader.problems.counts
            newest = BackwardScan(path, wanted, 1000)
            back = [record_of(line) for lines in newest.slices() for line in lines]
            assert len(back) >= len(found) - counted["repeated"]
            assert len(found) <= len(b"".join(parts).split(b"\n"))
            stats = LogStats()
            for record in reader.records(**filters):
                stats.add(record)
            write_records(reader.records(**filters), as_json=False)
        list(reader.story("x-7"))
        list(reader.events("all"))
        whole = [json.loads(part)["seq"] for part in parts if part in GOOD]
        assert {*whole} <= {r["seq"] for r in reader.records() if r["seq"]} or any(
            not part.endswith(b"\n") for part in parts
        )
