"""What a user's code redacts is not in the file of a sink.

Records skip logging on their way to a sink that is the only handler, but only if no
code of the user's would see them.
"""

from __future__ import annotations

import functools
import json
import logging
import subprocess
import sys
from types import MethodType

import pytest

from leandask import JSONFormatter, RotatingFileSink
from leandask.records.factory import RecordFactory
from leandask.records.loggers import EVENTS
from tests.helpers.processes import wait_for
from tests.helpers.sinks import make_stream, publish, records_in

SECRET = "swordfish"


def redact(record):
    """Hide the secret in a LogRecord."""
    record.payload = '"hidden"'
    record.msg = "hidden"


class Emit(RotatingFileSink):
    def emit(self, record):
        redact(record)
        super().emit(record)


class Handle(RotatingFileSink):
    def handle(self, record):
        redact(record)
        return super().handle(record)


class Format(RotatingFileSink):
    def format(self, record):
        return super().format(record).replace(SECRET, "hidden")


class Filter(RotatingFileSink):
    def filter(self, record):
        redact(record)
        return super().filter(record)


class Mixin:
    def emit(self, record):
        redact(record)
        super().emit(record)


class Mixed(Mixin, RotatingFileSink):
    pass


class FieldsFormatter(JSONFormatter):
    def fields(self, record):
        return super().fields(record) | {"payload": "hidden", "message": "hidden"}


class EncodeFormatter(JSONFormatter):
    def encode(self, record):
        redact(record)
        return super().encode(record)


class FormatFormatter(JSONFormatter):
    def format(self, record):
        return super().format(record).replace(SECRET, "hidden")


class RedactingLogger(logging.Logger):
    def handle(self, record):
        redact(record)
        super().handle(record)


class RedactingHandlersLogger(logging.Logger):
    def callHandlers(self, record):
        redact(record)
        super().callHandlers(record)


class RedactingFilterLogger(logging.Logger):
    def filter(self, record):
        redact(record)
        return super().filter(record)


@pytest.fixture
def make(tmp_path, alone):
    """Make a sink that is the only handler of the events."""
    made = []

    def make(kind=RotatingFileSink, formatter=None):
        sink = kind(tmp_path / "log.jsonl")
        if formatter is not None:
            sink.setFormatter(formatter)
        EVENTS.addHandler(sink)
        made.append(sink)
        return sink

    yield make
    for sink in made:
        EVENTS.removeHandler(sink)
        sink.close()


def assert_redacted(sink, *, n=1):
    sink.flush()
    text = sink.file.path.read_text()
    assert SECRET not in text
    assert text.count("hidden") == 2 * n  # in the payload and in the message


@pytest.mark.parametrize("kind", [Emit, Handle, Format, Filter, Mixed])
def test_a_sink_that_overrides_a_method_is_called(make, kind):
    sink = make(kind)
    publish(SECRET)
    assert_redacted(sink)


@pytest.mark.parametrize("kind", [FieldsFormatter, EncodeFormatter, FormatFormatter])
def test_a_formatter_that_overrides_a_method_is_called(make, kind):
    sink = make(formatter=kind())
    publish(SECRET)
    assert_redacted(sink)


@pytest.mark.parametrize("name", ["handle", "emit"])
def test_a_sink_with_a_replaced_method_is_called(make, monkeypatch, name):
    sink = make()
    method = getattr(sink, name)

    def redacting(record):
        redact(record)
        return method(record)

    monkeypatch.setattr(sink, name, redacting)
    publish(SECRET)
    assert_redacted(sink)


@pytest.mark.parametrize("name", ["fields", "format", "encode"])
def test_a_formatter_with_a_replaced_method_is_called(make, monkeypatch, name):
    sink = make()
    method = getattr(sink.formatter, name)

    def redacting(record):
        redact(record)
        return method(record)

    monkeypatch.setattr(sink.formatter, name, redacting)
    publish(SECRET)
    assert_redacted(sink)


@pytest.mark.parametrize(
    "kind", [RedactingLogger, RedactingHandlersLogger, RedactingFilterLogger]
)
def test_a_logger_that_overrides_a_method_is_called(make, monkeypatch, kind):
    sink = make()
    monkeypatch.setattr(EVENTS, "__class__", kind)
    publish(SECRET)
    assert_redacted(sink)


def wrapped(method, seen):
    @functools.wraps(method)
    def wrapper(*args):
        seen.append(args)
        return method(*args)

    return wrapper


class Proxy:
    """Has all attributes of a method, as a proxy of the package wrapt has."""

    def __init__(self, method, seen):
        self.method, self.seen = method, seen

    def __getattr__(self, name):
        return getattr(self.method, name)

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    def __call__(self, *args):
        self.seen.append(args)
        return self.method(*args)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (logging.Logger, "callHandlers"),
        (logging.Logger, "handle"),
        pytest.param(
            *(logging.Handler, "acquire"),
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13), reason="logging no longer calls it"
            ),
        ),
        (logging.Handler, "handle"),
        (RotatingFileSink, "emit"),
        (JSONFormatter, "fields"),
    ],
)
@pytest.mark.parametrize("wrap", [wrapped, Proxy])
def test_a_method_that_a_library_wraps_is_called(make, monkeypatch, kind, name, wrap):
    """As error trackers and tracers do with the methods of ``logging.Logger``."""
    sink, seen = make(), []
    monkeypatch.setattr(kind, name, wrap(getattr(kind, name), seen))
    stream = make_stream()
    stream.event("mine", (1.5, "one"))
    stream.close()
    sink.flush()
    assert seen
    assert len(records_in(sink)) == 1


def wait_for_turn(stream):
    """Wait until a turn of the drain ends: it checks the handlers once per turn."""
    turns = stream._drain.turns
    wait_for(lambda: stream._drain.turns > turns, interval=0.001)


def test_a_change_between_two_turns_applies_to_the_next_record(make, monkeypatch):
    sink = make()
    stream = make_stream()
    stream.event("mine", (1.5, "public"))
    stream.catch_up(10)
    wait_for_turn(stream)
    method = sink.emit

    def redacting(record):
        redact(record)
        method(record)

    with monkeypatch.context() as patch:
        patch.setattr(sink, "emit", redacting)
        stream.event("mine", (1.5, SECRET))
        stream.catch_up(10)
        wait_for_turn(stream)
    sink.addFilter(lambda record: redact(record) or True)
    stream.event("mine", (1.5, SECRET))
    stream.close()
    assert [json.loads(r["payload"]) for r in records_in(sink)] == [
        "public",
        "hidden",
        "hidden",
    ]
    assert_redacted(sink, n=2)


@pytest.mark.parametrize("name", ["handle", "emit"])
def test_a_null_handler_that_overrides_a_method_is_called(make, name):
    seen = []
    kind = type("Own", (logging.NullHandler,), {name: lambda _, r: seen.append(r)})
    handler = kind()
    sink = make()
    EVENTS.addHandler(handler)
    publish("one")
    sink.flush()
    assert len(records_in(sink)) == 1
    assert len(seen) == (name == "handle")  # a NullHandler does not call emit


class Defaults(RotatingFileSink):
    """A subclass that overrides no method that a record passes through."""

    def __init__(self, filename):
        super().__init__(filename, max_bytes=None, backups=1)


@pytest.mark.parametrize("kind", [RotatingFileSink, Defaults])
def test_an_unmodified_sink_gets_no_log_records(make, monkeypatch, kind):
    sink = make(kind)
    monkeypatch.setattr(RecordFactory, "log_record", None)
    publish("one", "two")
    sink.flush()
    assert [json.loads(r["payload"]) for r in records_in(sink)] == ["one", "two"]


@pytest.mark.parametrize("formatter", [None, logging.Formatter("%(message)s")])
def test_a_sink_without_our_formatter_is_called(make, formatter):
    sink = make()
    sink.setFormatter(formatter)
    publish("one")
    sink.flush()
    assert sink.file.path.read_text() == "mine: one\n"


LOGGER_CLASS = """
import logging, sys

class Redacting(logging.Logger):
    def handle(self, record):
        record.payload = record.msg = "hidden"
        super().handle(record)

logging.setLoggerClass(Redacting)
import leandask
sink = leandask.RotatingFileSink(sys.argv[1])
events = logging.getLogger("leandask.events")
events.addHandler(sink)
events.setLevel("INFO")
stream = leandask.RecordStream("Scheduler-1", lambda f: f())
stream.event("mine", (1.5, "swordfish"))
stream.close()
sink.close()
"""


def test_the_users_logger_class_is_called(tmp_path):
    path = tmp_path / "log.jsonl"
    subprocess.run([sys.executable, "-c", LOGGER_CLASS, path], check=True)
    [line] = path.read_text().splitlines()
    assert (json.loads(line)["payload"], SECRET in line) == ("hidden", False)
