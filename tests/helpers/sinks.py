"""Sinks for tests: they write the bare message, and are closed at the end."""

from __future__ import annotations

import logging

import pytest

from leandask import RotatingFileSink


@pytest.fixture
def make_sink(tmp_path):
    """Make sinks, of a file ``log`` unless told otherwise."""
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


def put(sink, *messages, level=logging.INFO):
    """Have a sink handle messages."""
    for message in messages:
        sink.handle(logging.LogRecord("x", level, "x.py", 1, message, None, None))
