from __future__ import annotations

import contextlib
import gzip
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandask import LogReader
from leandask.cli.output import write_records
from leandask.reading import lines as reading_lines
from leandask.reading.backward import BackwardScan
from leandask.reading.filter import EventFilter, Filter, Story
from leandask.reading.follow import Follow
from leandask.reading.lines import (
    InvalidRecord,
    check,
    milliseconds_of,
    msg_of,
    record_of,
    seconds_of,
)
from leandask.reading.matching import needles_of
from leandask.reading.stats import LogStats
from leandask.reading.timeline.timeline import Timeline
from tests.helpers.logs import event_record, lines, record, transition_record, write

DROPPED = record(event_name="leandask.records-dropped", dropped_since_last=7)
TRANSITION = transition_record(0, "x", "waiting", "processing")
EVENT = event_record(0, "all", "add-worker", worker="tcp://127.0.0.1:1")
#: Fields that parsing checks, as readers and filters compare them.
COMPARED = {"timestamp", "scheduler_id", "seq", "event_name", "severity_number"}
COMPARED |= {"schema_version", "task_key", "stimulus_id", "recommendation_keys"}
COMPARED |= {"topic", "payload", "action", "worker", "client"}
#: Filters that look at every field that a filter can look at.
FILTERS = [
    Filter(),
    Filter(topic="all", action="a", worker="w", client="c", event_name="dask.event"),
    Filter(topic="all"),
    Filter(key=["x", "y"]),
    Filter(stimulus_id="s"),
    Filter(level="WARNING", since="2000-01-01", until="2100-01-01"),
    EventFilter(action="add-worker"),
    Story("x", "s"),
]


@pytest.mark.parametrize(
    "field, value",
    [
        ("timestamp", 5),
        ("scheduler_id", []),
        ("seq", "1"),
        ("seq", True),
        ("seq", 0),
        ("seq", 2**53),
        ("severity", None),
        ("severity_number", "x"),
        ("event_name", {}),
        ("schema_version", 1.0),
        ("task_key", 5),
        ("task_start", []),
        ("task_finish", None),
        ("stimulus_id", {}),
        ("n_recommendations", "2"),
        ("recommendation_keys", 5),
        ("recommendation_keys", [["y"]]),
        ("recommendation_states", {}),
        ("topic", ["unhashable"]),
        ("payload", 5),
        ("action", {}),
        ("worker", 5),
        ("client", []),
        ("dropped_since_last", -1),
        ("dropped_since_last", 2**53),
    ],
)
def test_a_wrong_field_is_named(field, value):
    whole = next(r for r in (TRANSITION, EVENT, DROPPED) if field in r)
    check(whole)
    with pytest.raises(InvalidRecord) as wrong:
        check(whole | {field: value})
    assert (wrong.value.field, wrong.value.kind) == (field, "corrupt")
    if field in COMPARED:
        with pytest.raises(InvalidRecord) as wrong:
            record_of(orjson.dumps(whole | {field: value}))
        assert (wrong.value.field, wrong.value.kind) == (field, "corrupt")
    with pytest.raises(InvalidRecord) as wrong:
        check({name: value for name, value in whole.items() if name != field})
    kind = "foreign" if field in record() else "corrupt"
    assert (wrong.value.field, wrong.value.kind) == (field, kind)


@pytest.mark.parametrize("names", [["y", 5], [["y"]], [{}]])
def test_recommendations_are_texts(names):
    pairs = {"recommendation_keys": names, "recommendation_states": names}
    with pytest.raises(InvalidRecord):
        record_of(orjson.dumps(TRANSITION | pairs))
    with pytest.raises(InvalidRecord):
        check(TRANSITION | pairs)


@pytest.mark.parametrize("line", [b"", b"torn", b"5", b'"text"', b"[]", b"null"])
def test_a_line_that_is_not_a_json_object_is_corrupt(line):
    with pytest.raises(InvalidRecord) as wrong:
        record_of(line)
    assert (wrong.value.field, wrong.value.kind) == ("record", "corrupt")


def test_recommendations_are_pairs():
    record = record_of(orjson.dumps(TRANSITION | {"recommendation_keys": ["y"]}))
    with pytest.raises(InvalidRecord, match="recommendation_keys"):
        check(record)


def test_times_and_payloads_are_checked_when_they_are_parsed():
    late = record_of(orjson.dumps(EVENT | {"timestamp": "soon", "payload": "{"}))
    for read in (milliseconds_of, seconds_of, msg_of):
        with pytest.raises(InvalidRecord):
            read(late)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text() | st.floats(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values),
    max_leaves=5,
)


@given(
    st.sampled_from([TRANSITION, EVENT, DROPPED, record()]),
    st.dictionaries(
        st.sampled_from([*(TRANSITION | EVENT | DROPPED)]), VALUES, max_size=3
    ),
    st.sets(st.sampled_from([*(TRANSITION | EVENT | DROPPED)]), max_size=1),
)
def test_filters_counts_and_output_accept_every_parsed_record(whole, others, gone):
    fields = {n: v for n, v in (whole | others).items() if n not in gone}
    try:
        accepted = record_of(json.dumps(fields).encode())
    except InvalidRecord as e:
        assert str(e)
        return
    for wanted in FILTERS:
        assert wanted.matches(accepted) in (True, False)
    LogStats().add(accepted)
    Timeline().add(accepted)
    write_records([accepted], as_json=False)


@pytest.mark.parametrize("error", [KeyError, TypeError, ValueError, OSError, EOFError])
class TestAnErrorOfAFilterIsTheCallersOwn:
    """A filter of the caller that raises ends the reading, and nothing is counted."""

    @pytest.fixture
    def wanted(self, error):
        class Broken(Filter):
            def matches(self, record):
                raise error("in the filter")

        return Broken

    def test_forward(self, tmp_path, error, wanted):
        path = write(tmp_path / "log.jsonl", *lines(100))
        for filters in ({}, {"key": "x-7"}):  # with needles, and without
            reader = LogReader(path)
            with pytest.raises(error, match="in the filter"):
                list(reader.select(wanted(**filters)))
            assert not reader.problems

    def test_backward(self, tmp_path, error, wanted):
        path = write(tmp_path / "log.jsonl", *lines(100))
        scan = BackwardScan(path, wanted(), 10)
        with pytest.raises(error, match="in the filter"):
            list(scan.slices())
        assert scan.broken == 0

    def test_backward_in_a_gzipped_file(self, tmp_path, error, wanted):
        text = gzip.compress(b"".join(lines(100)))
        write(tmp_path / "log.jsonl.1.gz", text)
        scan = BackwardScan(tmp_path / "log.jsonl", wanted(), 10)
        with pytest.raises(error, match="in the filter"):
            list(scan.slices())
        assert scan.broken == 0

    def test_follow(self, tmp_path, error, wanted):
        path = write(tmp_path / "log.jsonl")
        with Follow(path, wanted()) as follow:
            write(path, *lines(1))
            with pytest.raises(error, match="in the filter"):
                list(follow.records())
            assert not any(follow.problems.counts.values())


def test_an_error_of_the_progress_is_the_callers_own(tmp_path):
    def fail(nbytes):
        raise BrokenPipeError

    path = write(tmp_path / "log.jsonl", *lines(10))
    with pytest.raises(BrokenPipeError):
        list(LogReader(path, progress=fail).records())


@pytest.mark.parametrize(
    ("line", "times"),
    [
        (orjson.dumps(TRANSITION), 1),
        (orjson.dumps(TRANSITION | {"task_key": 5}), 1),
        (orjson.dumps({n: v for n, v in EVENT.items() if n != "topic"}), 2),
        (orjson.dumps({f"leandask.{n}": v for n, v in TRANSITION.items()}), 2),
        (b"[]", 1),
    ],
)
def test_a_line_is_checked_again_only_if_its_fields_changed(monkeypatch, line, times):
    checked = []
    is_comparable = reading_lines._is_comparable
    monkeypatch.setattr(
        reading_lines, "_is_comparable", lambda r: checked.append(r) or is_comparable(r)
    )
    with contextlib.suppress(InvalidRecord):
        record_of(line)
    assert len(checked) == times


@pytest.mark.parametrize("text", ['"', "\\", "é", "\n", "\x7f"])
def test_a_text_that_json_can_write_in_two_ways_is_not_a_needle(text):
    assert needles_of("topic", [text, "all"]) == ()


def test_all_scans_refuse_the_same_line(tmp_path):
    wrong = orjson.dumps(TRANSITION | {"recommendation_keys": 5, "seq": 3}) + b"\n"
    path = write(tmp_path / "log.jsonl", *lines(2), wrong)
    reader = LogReader(path)
    assert [r["seq"] for r in reader.records()] == [1, 2]
    [problem] = reader.problems.notices
    assert problem.kind == "corrupt"
    assert problem.text.startswith("recommendation_keys is not valid: 5")
    scan = BackwardScan(path, Filter(), 10)
    assert len([line for found in scan.slices() for line in found]) == 2
    assert scan.broken == 1
    write(path)
    with Follow(path, Filter()) as follow:
        write(path, wrong)
        assert list(follow.records()) == []
        assert follow.problems.counts["corrupt"] == 1


def test_an_empty_line_between_records_is_no_problem(tmp_path):
    one, two = lines(2)
    path = write(tmp_path / "log.jsonl", one, b"\n", two)
    reader = LogReader(path)
    assert [r["seq"] for r in reader.records()] == [1, 2]
    assert not reader.problems
    scan = BackwardScan(path, Filter(), 10)
    assert len([line for found in scan.slices() for line in found]) == 2
    assert not scan.broken
    write(path)
    with Follow(path, Filter()) as follow:
        write(path, one, b"\n", two)
        assert [r["seq"] for r in follow.records()] == [1, 2]
        assert not follow.problems


@pytest.mark.parametrize(
    "dropped", ["severity", "severity_number", "topic", "payload", "worker"]
)
def test_a_record_without_a_field_that_a_formatter_dropped_is_read(tmp_path, dropped):
    line = {name: value for name, value in EVENT.items() if name != dropped}
    reader = LogReader(write(tmp_path / "log.jsonl", orjson.dumps(line) + b"\n"))
    (found,) = reader.records()
    assert not reader.problems
    assert line.items() <= found.items()
    # It matches no filter by what it lacks.
    as_info = [*reader.records(level="INFO")]
    assert as_info == ([] if dropped == "severity_number" else [found])
