from __future__ import annotations

import json
import logging
import logging.config
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leandask import JSONFormatter
from leandask.eventlog.formatter import PRESETS
from leandask.records.factory import RecordFactory
from leandask.records.payload import plain

FACTORY = RecordFactory("Scheduler-1")


def log_record(msg="hello", args=None, **attributes):
    record = logging.LogRecord("app", logging.ERROR, "app.py", 1, msg, args, None)
    record.created = 1.5
    record.__dict__.update(attributes)
    return record


def event_record(msg, topic="mine", limit=8192):
    value, _, truncated = plain(msg, limit)
    event = (logging.INFO, topic, 1.5, value, truncated)
    return FACTORY.event(1, event)


def load(formatter, record):
    line = formatter.format(record)
    assert "\n" not in line
    return json.loads(line)


def test_a_record_of_ours_is_its_fields_in_order():
    made = event_record({"action": "greet"})
    loaded = load(JSONFormatter(), FACTORY.log_record(made))
    assert list(loaded.items()) == list(made[2].items())


def test_with_and_without_a_log_record_a_line_is_the_same():
    made = event_record({"action": "greet", "text": "ü\n"})
    formatter = JSONFormatter()
    through_logging = formatter.encode(FACTORY.log_record(made))
    assert formatter.encode_fields(made[2]) == through_logging


def test_any_other_log_record_has_its_own_attributes():
    loaded = load(JSONFormatter(), log_record("a\n%s", ("b",), user="x"))
    assert loaded == {
        "timestamp": "1970-01-01T00:00:01.500000Z",
        "severity": "ERROR",
        "severity_number": 17,
        "logger": "app",
        "message": "a\nb",
        "user": "x",
    }


def test_a_traceback_is_a_field():
    try:
        raise ValueError("broken")
    except ValueError:
        record = log_record(exc_info=sys.exc_info())
    assert "ValueError: broken" in load(JSONFormatter(), record)["exception"]


def test_a_formatter_that_ran_before_changes_nothing():
    record = FACTORY.log_record(event_record("x"))
    before = JSONFormatter().format(record)
    logging.Formatter("%(asctime)s %(message)s").format(record)
    assert JSONFormatter().format(record) == before


@pytest.mark.parametrize("ours", [True, False])
def test_what_a_filter_adds_or_changes_shows(ours):
    record = FACTORY.log_record(event_record("secret")) if ours else log_record()
    record.cluster = "blue"
    record.payload = "hidden"
    record.msg = "redacted %s"
    record.args = ("twice",)
    loaded = load(JSONFormatter(), record)
    assert (loaded["cluster"], loaded["payload"]) == ("blue", "hidden")
    assert loaded["message"] == "redacted twice"
    assert "secret" not in str(loaded)


@pytest.mark.parametrize(
    "value", [object(), {1: {2}}, float("nan"), "\ud800", 2**80, b"x", [ValueError()]]
)
def test_an_attribute_that_is_not_json_becomes_text(value):
    loaded = load(JSONFormatter(), log_record(extra=value))
    assert "extra" in loaded
    record = FACTORY.log_record(event_record("x"))
    record.extra = value
    assert load(JSONFormatter(), record)["seq"] == 1


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_json_values_stay_whole_next_to_others(value):
    record = FACTORY.log_record(event_record("\x00" * 8000))
    record.extra = value
    payload = load(JSONFormatter("1 MiB"), record)["payload"]
    assert json.loads(payload) == "\x00" * 8000


HOSTILE = {
    "control": "\x00" * 100_000,
    "quotes": ['"' * 100] * 1000,
    "keys": {f"key-{i}": "\x1b\n" for i in range(5000)},
    "backslashes": {"a": "\\" * 50_000},
}


@pytest.mark.parametrize("record_bytes", [1024, 4096, "16 KiB"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_is_bounded_and_marked_as_cut(name, record_bytes):
    formatter = JSONFormatter(record_bytes)
    record = FACTORY.log_record(event_record(HOSTILE[name], topic="\x1b\\" * 500))
    loaded = load(formatter, record)
    assert len(formatter.encode(record)) <= formatter.record_bytes
    assert loaded["truncated"] is True
    assert (loaded["seq"], loaded["event_name"]) == (1, "dask.event")
    if "payload" in loaded:
        json.loads(loaded["payload"])


def test_lists_stay_lists_when_a_line_is_cut():
    fields = event_record("x")[2] | {"recommendation_keys": ["k" * 500] * 20}
    loaded = json.loads(JSONFormatter(1024).encode_fields(fields))
    assert isinstance(loaded["recommendation_keys"], list)


@pytest.mark.parametrize("name", ["seq", "event_name", "timestamp"])
def test_a_small_field_that_is_long_is_cut_too(name):
    record = logging.LogRecord("x", logging.INFO, "", 0, "a", (), None)
    record.__dict__[name] = "y" * 50_000
    line = JSONFormatter(record_bytes=1024).format(record)
    assert len(line) <= 1024
    assert json.loads(line)[name].startswith("yyyy")


def test_many_long_attributes_leave_the_small_fields():
    extras = {f"extra-{i}": "x" * 100 for i in range(500)}
    formatter = JSONFormatter(1024)
    loaded = load(formatter, log_record(**extras))
    assert loaded["truncated"] is True
    assert loaded["severity"] == "ERROR"


@settings(max_examples=200)
@given(st.text(st.characters(), max_size=3000), st.text(st.characters(), max_size=900))
def test_any_text_becomes_one_bounded_line(text, topic):
    formatter = JSONFormatter(1024)
    record = FACTORY.log_record(event_record({"text": text}, topic=topic))
    record.topic = topic  # longer than a stream makes it
    line = formatter.encode(record)
    assert len(line) <= 1024
    assert json.loads(line)["seq"] == 1
    assert b"\n" not in line and b"\r" not in line and b"\x1b" not in line


@pytest.mark.parametrize("preset", ["ecs", "otel"])
def test_presets_rename_and_change_nothing_else(preset):
    record = FACTORY.log_record(event_record({"action": "greet"}))
    ours = load(JSONFormatter(), record)
    theirs = load(JSONFormatter(fields=preset), record)
    assert list(theirs.values()) == list(ours.values())
    assert len(theirs) == len(ours)
    for name, renamed in PRESETS[preset].items():
        if name in ours:
            assert theirs[renamed] == ours[name]
    assert theirs["leandask.topic"] == "mine"


def test_a_renamed_line_is_bounded_too():
    record = FACTORY.log_record(event_record("x" * 5000))
    formatter = JSONFormatter(1024, fields="ecs")
    assert len(formatter.encode(record)) <= 1024


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"record_bytes": 100}, "record-bytes"),
        ({"record_bytes": "x"}, "record-bytes"),
        ({"fields": "gelf"}, "fields"),
    ],
)
def test_bad_arguments_are_refused(arguments, key):
    with pytest.raises(ValueError, match=rf"^leandask\.stream\.{key} must be"):
        JSONFormatter(**arguments)


def test_it_can_be_named_in_a_configuration(tmp_path):
    path = tmp_path / "app.jsonl"
    logger = logging.getLogger("tests.formatter")
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": "leandask.JSONFormatter", "fields": "ecs"}},
            "handlers": {
                "file": {
                    "class": "leandask.RotatingFileSink",
                    "filename": str(path),
                    "max_bytes": "1 MiB",
                    "formatter": "json",
                }
            },
            "loggers": {"tests.formatter": {"level": "INFO", "handlers": ["file"]}},
        }
    )
    [handler] = logger.handlers
    try:
        logger.info("hello %s", "you", extra={"user": "x"})
    finally:
        logger.removeHandler(handler)
        handler.close()
    loaded = json.loads(path.read_text())
    assert (loaded["message"], loaded["log.level"]) == ("hello you", "INFO")
    assert loaded["leandask.user"] == "x"


@pytest.fixture
def no_opentelemetry(monkeypatch):
    """Make the process one that has not imported OpenTelemetry's logs."""
    monkeypatch.delitem(sys.modules, "opentelemetry._logs", raising=False)


def test_python_json_logger_shows_the_same_fields(no_opentelemetry):
    own = pytest.importorskip("pythonjsonlogger.json")
    record = FACTORY.log_record(event_record({"action": "greet"}))
    theirs = json.loads(own.JsonFormatter().format(record))
    assert theirs == load(JSONFormatter(), record)


def test_structlog_shows_the_same_fields(no_opentelemetry):
    structlog = pytest.importorskip("structlog")
    record = FACTORY.log_record(event_record({"action": "greet"}))
    ours = load(JSONFormatter(), record)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    theirs = json.loads(formatter.format(record))
    assert theirs.pop("event") == ours.pop("message")
    theirs.pop("message", None)
    assert theirs == ours


UNSAFE = "a\x7f\x9b31m\u202eb\u2066\u200b\U000e0001é"


@pytest.mark.parametrize("fields", PRESETS)
def test_a_line_can_not_control_a_terminal_and_loses_nothing(fields):
    msg = {"action": UNSAFE, UNSAFE: [UNSAFE]}
    formatter = JSONFormatter(fields=fields)
    for record in (
        event_record(msg, topic=UNSAFE)[2],
        {"task_key": UNSAFE, "recommendation_keys": [UNSAFE], "seq": 1},
    ):
        line = formatter.encode_fields(record).decode()
        assert line.isprintable()
        assert [*json.loads(line).values()] == [*record.values()]
    payload = event_record(msg)[2]["payload"]
    assert payload.isprintable()
    assert json.loads(payload) == msg


def test_a_line_whose_escapes_make_it_too_long_is_cut():
    record = event_record({"action": "greet", "text": "\u202e" * 400})[2]
    line = JSONFormatter(record_bytes=1024).encode_fields(record)
    assert len(line) <= 1024
    assert json.loads(line)["truncated"]
