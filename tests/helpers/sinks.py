"""Sinks for tests, and functions that publish records to them."""

from __future__ import annotations

import json
import logging

import pytest
from _pytest.logging import LogCaptureHandler

from leandask import RecordStream, RotatingFileSink
from leandask.records.loggers import EVENTS, TRANSITIONS


@pytest.fixture
def make_sink(tmp_path):
    """Make sinks that write the bare message, to a file ``log`` by default."""
    made = []

    def make(path=None, **arguments):
        sink = RotatingFileSink(path or tmp_path / "log", **arguments)
        sink.setFormatter(logging.Formatter("%(message)s"))
        made.append(sink)
        return sink

    yield make
    for sink in made:
        sink.close()
        sink.file.join()


@pytest.fixture
def alone(monkeypatch):
    """Have records reach only the handlers that a test adds, as in production."""
    for logger in (EVENTS, TRANSITIONS):
        monkeypatch.setattr(logger, "propagate", False)
        monkeypatch.setattr(logger, "handlers", [])


def put(sink, *messages, level=logging.INFO):
    """Have a sink handle messages."""
    for message in messages:
        sink.handle(logging.LogRecord("x", level, "x.py", 1, message, None, None))


def make_stream(scheduler_id="Scheduler-1"):
    """Make a stream whose records reach no handler of pytest's."""
    # pytest adds its own to a logger that does not propagate, as the test begins.
    for handler in [h for h in EVENTS.handlers if isinstance(h, LogCaptureHandler)]:
        EVENTS.removeHandler(handler)
    return RecordStream(scheduler_id, lambda f: f())


def publish(*msgs, scheduler_id="Scheduler-1"):
    """Publish events through a stream, and wait until logging has them."""
    stream = make_stream(scheduler_id)
    for msg in msgs:
        stream.event("mine", (1.5, msg))
    stream.close()
    assert stream.stats()["errors"] == 0


def records_in(sink):
    """The records in a sink's file, one per line of JSON."""
    return [json.loads(line) for line in sink.file.path.read_text().splitlines()]
