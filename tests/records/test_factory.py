from __future__ import annotations

import json
import logging

import pytest
from distributed.scheduler import Transition

from leandask.records.factory import RecordFactory
from leandask.records.payload import plain
from leandask.records.schema import EVENT_FIELDS, RECOMMENDATIONS, TRANSITION_FIELDS
from tests.helpers.paths import DOCS

COMMON = [
    "timestamp",
    "severity",
    "severity_number",
    "logger",
    "message",
    "event_name",
    "schema_version",
    "scheduler_id",
]


@pytest.fixture
def factory():
    return RecordFactory("Scheduler-1")


def event(factory, topic, msg, level=logging.INFO, limit=1000):
    value, _, truncated = plain(msg, limit)
    return factory.event(7, (level, topic, 1.5, value, truncated))


def transition(factory, **fields):
    default = {
        "key": "inc-1",
        "start": "waiting",
        "finish": "processing",
        "recommendations": {},
        "stimulus_id": "s-1",
        "timestamp": 1.5,
    }
    return factory.transition(7, Transition(**default | fields))


def test_an_event_has_the_fields_of_the_schema_in_order(factory):
    level, timestamp, fields = event(factory, "mine", {"action": "greet", "n": 1})
    assert (level, timestamp) == (logging.INFO, 1.5)
    assert list(fields) == [*COMMON, *EVENT_FIELDS]
    assert json.loads(fields.pop("payload")) == {"action": "greet", "n": 1}
    assert fields == {
        "timestamp": "1970-01-01T00:00:01.500000Z",
        "severity": "INFO",
        "severity_number": 9,
        "logger": "leandask.events",
        "message": "mine: greet n=1",
        "event_name": "dask.event",
        "schema_version": 1,
        "scheduler_id": "Scheduler-1",
        "seq": 7,
        "topic": "mine",
        "action": "greet",
        "worker": None,
        "client": None,
    }


@pytest.mark.parametrize(
    ("topic", "msg", "worker", "client"),
    [
        ("tcp://1.2.3.4:5", {"action": "x"}, "tcp://1.2.3.4:5", None),
        ("Client-1", {"action": "x"}, None, "Client-1"),
        ("all", {"worker": "tls://a:1", "client": "Client-2"}, "tls://a:1", "Client-2"),
        ("all", {"worker": 5, "client": None, "action": ["x"]}, None, None),
        ("all", "text", None, None),
        ("stealing", ["request", []], None, None),
    ],
)
def test_worker_and_client_come_from_the_msg_or_its_topic(
    factory, topic, msg, worker, client
):
    _, _, fields = event(factory, topic, msg)
    assert (fields["worker"], fields["client"]) == (worker, client)
    assert fields["action"] in (None, "x")


def test_a_cut_payload_is_marked_and_stays_json(factory):
    _, _, fields = event(factory, "mine", {"text": "x" * 5000})
    assert fields["truncated"] is True
    assert len(json.loads(fields["payload"])["text"]) < 1001


def test_a_message_is_one_bounded_line(factory):
    msg = {"action": "a\nb", "long": "x" * 1000, "many": [1, 2, 3]}
    _, _, fields = event(factory, "t\x1b", msg)
    assert fields["message"].startswith("t\\x1b: a\\nb long=xxx")
    assert len(fields["message"]) < 300
    _, _, fields = event(factory, "t", {"many": [1, 2, 3], "map": {}})
    assert fields["message"] == "t: many=<3> map=<0>"


def lost_worker(keys, worker="tcp://10.0.0.1:40001"):
    """The msg that upstream publishes under all."""
    return {
        "action": "remove-worker",
        "processing-tasks": keys,
        "lost-computed-tasks": set(),
        "lost-scattered-tasks": set(),
        "stimulus_id": "handle-worker-cleanup-1795561110.8573241",
        "expected": False,
        "worker": worker,
    }


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ({f"culprit-{i}" for i in range(1, 5)}, "culprit-1 (+3 more)"),
        ({"culprit-1"}, "culprit-1"),
        ({("x", 0, 1), ("x", 0, 0)}, "('x', 0, 0) (+1 more)"),
        ({"a\x1b[31m\nb"}, "a\\x1b[31m\\nb"),
        ({"k" * 600}, "k" * 64 + "…"),
        ({f"culprit-{i:06}" for i in range(100_000)}, "(+99999 more)"),
    ],
)
def test_the_message_of_a_lost_worker_names_its_first_task(factory, keys, shown):
    _, _, fields = event(factory, "all", lost_worker(keys))
    before, _, after = fields["message"].partition(" processing-tasks=")
    assert shown in after
    assert before.startswith("all: remove-worker ")
    assert before.endswith(" expected=False worker=tcp://10.0.0.1:40001")
    assert len(fields["message"]) <= 251


def test_a_message_says_how_long_a_list_or_mapping_was_before_it_was_cut(factory):
    numbers = list(range(5000))
    for name, value in (("many", numbers), ("map", dict.fromkeys(numbers, "x"))):
        _, _, fields = event(factory, "t", {name: value})
        assert fields["truncated"] is True
        assert fields["message"] == f"t: {name}=<5000>"
    for mark in ("… 2 more", "… " + "9" * 5000 + " more"):  # of the user's
        _, _, fields = event(factory, "t", {"names": ["a", mark]})
        assert fields["message"].startswith("t: names=a (+")


def test_a_transition_has_the_fields_of_the_schema_in_order(factory):
    recommendations = {("y", 0): "processing", "z": "waiting"}
    level, _, fields = transition(factory, recommendations=recommendations)
    assert level == logging.DEBUG
    assert list(fields) == [*COMMON, *TRANSITION_FIELDS]
    assert {name: fields[name] for name in TRANSITION_FIELDS} == {
        "seq": 7,
        "task_key": "inc-1",
        "task_start": "waiting",
        "task_finish": "processing",
        "stimulus_id": "s-1",
        "n_recommendations": 2,
        "recommendation_keys": ["('y', 0)", "z"],
        "recommendation_states": ["processing", "waiting"],
    }
    assert fields["message"] == "inc-1: waiting -> processing"
    assert (fields["severity"], fields["severity_number"]) == ("DEBUG", 5)


def test_an_erred_task_is_info(factory):
    level, _, fields = transition(factory, finish="erred")
    assert (level, fields["severity"]) == (logging.INFO, "INFO")


def test_all_recommendations_are_counted_and_some_are_named(factory):
    n = RECOMMENDATIONS + 1
    recommendations = {f"x-{i}": "processing" for i in range(n)}
    _, _, fields = transition(factory, recommendations=recommendations)
    assert (fields["n_recommendations"], fields["truncated"]) == (n, True)
    assert len(fields["recommendation_keys"]) == RECOMMENDATIONS
    assert len(fields["recommendation_states"]) == RECOMMENDATIONS
    assert len(recommendations) == n


def test_records_share_nothing_that_a_filter_may_change(factory):
    _, _, first = transition(factory)
    first["recommendation_keys"].append("x")
    first["task_key"] = "changed"
    assert transition(factory)[2]["recommendation_keys"] == []


def test_a_log_record_carries_fields_and_standard_attributes(factory):
    record = factory.log_record(event(factory, "mine", {"action": "greet"}, 30))
    assert (record.topic, record.action, record.seq) == ("mine", "greet", 7)
    assert (record.name, record.levelno, record.levelname) == (
        "leandask.events",
        30,
        "WARNING",
    )
    assert (record.created, record.msecs, record.args) == (1.5, 500.0, None)
    assert record.getMessage() == "mine: greet"
    fmt = "%(process)d %(threadName)s %(lineno)d %(module)s %(message)s"
    assert logging.Formatter(fmt).format(record).endswith("factory mine: greet")
    assert set(logging.makeLogRecord({}).__dict__) <= set(record.__dict__)


def test_the_record_factory_of_the_user_is_used():
    class Own(logging.LogRecord):
        pass

    def own(*args, **kwargs):
        record = Own(*args, **kwargs)
        record.cluster = "blue"
        return record

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(own)
    try:
        factory = RecordFactory("Scheduler-1")
    finally:
        logging.setLogRecordFactory(before)
    made = event(factory, "mine", 1)
    assert made[2]["cluster"] == "blue"
    record = factory.log_record(made)
    assert type(record) is Own
    assert record.cluster == "blue"


def test_a_record_of_life_has_its_own_fields(factory):
    entry = (logging.WARNING, "leandask.records-dropped", 2.0, "x\ny", {"n": 1})
    level, timestamp, fields = factory.life(3, entry)
    assert (level, timestamp) == (logging.WARNING, 2.0)
    assert list(fields) == [*COMMON, "seq", "n"]
    assert (fields["seq"], fields["message"]) == (3, "x\\ny")


def test_every_field_is_documented():
    text = (DOCS / "records.md").read_text()
    schema = text[text.index("## Schema") : text.index("## Levels")]
    for name in (*COMMON, *EVENT_FIELDS, *TRANSITION_FIELDS, "truncated"):
        assert f"`{name}`" in schema, name
