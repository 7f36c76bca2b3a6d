"""The records in OpenTelemetry: its own handler, and the exporter of its SDK."""

from __future__ import annotations

import logging
import sys

import pytest
from distributed.utils_test import gen_test

from leandask import JSONFormatter
from leandask.records.factory import RecordFactory
from leandask.records.schema import OTEL_EVENT_NAME
from tests.helpers.schedulers import lean_cluster

sdk = pytest.importorskip("opentelemetry.sdk._logs")
export = pytest.importorskip("opentelemetry.sdk._logs.export")

try:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
except ImportError:  # before 2026 the handler was the SDK's, and knew no EventName
    if hasattr(export, "InMemoryLogRecordExporter"):
        needed = "needs opentelemetry-instrumentation-logging"
        pytest.skip(needed, allow_module_level=True)
    LoggingHandler = sdk.LoggingHandler
    Exporter = export.InMemoryLogExporter
    has_event_name = False
else:
    Exporter = export.InMemoryLogRecordExporter
    has_event_name = True


@pytest.fixture
def exporter():
    """What OpenTelemetry exports of the logger ``leandask`` and those below it."""
    exporter = Exporter()
    provider = sdk.LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(export.SimpleLogRecordProcessor(exporter))
    handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("leandask")
    logger.addHandler(handler)
    yield exporter
    logger.removeHandler(handler)
    provider.shutdown()


def exported_by(exporter):
    """Return what was exported, by the number of the record."""
    exported = [item.log_record for item in exporter.get_finished_logs()]
    return {e.attributes["seq"]: e for e in exported if "seq" in e.attributes}


def own_attributes(exported):
    """Return the attributes that are not the handler's own, with lists as we have them.

    OpenTelemetry makes tuples of lists.
    """
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in exported.attributes.items()
        if not name.startswith("code.")
    }


@gen_test()
async def test_all_records_of_a_scheduler_arrive_whole(
    exporter, collected, all_transitions
):
    async with lean_cluster() as (s, c):
        s.log_event("mine", {"action": "greet", "n": 1, "ok": True, "items": [1, 2.5]})
        s.log_event("warn", "x")
        root = c.submit(int, key="root")
        more = [c.submit(abs, root, key=f"more-{i}") for i in range(3)]
        await c.gather(more)
        await c.submit(int, "x", key="erred", retries=0).exception()
    exported = exported_by(exporter)
    assert list(exported) == [record.seq for record in collected]
    kinds = {record.event_name for record in collected}
    assert kinds > {"dask.event", "dask.task.transition", "dask.scheduler.stop"}
    for record in collected:
        entry = exported[record.seq]
        if has_event_name:
            assert entry.event_name == record.event_name
            assert OTEL_EVENT_NAME not in entry.attributes
        assert entry.body == record.message
        assert entry.severity_number.value == record.severity_number
        assert entry.timestamp == int(record.created * 1e9)
        fields = JSONFormatter().fields(record)
        del fields["message"]  # it is the body
        attributes = own_attributes(entry)
        attributes.pop(OTEL_EVENT_NAME, None)
        assert attributes == fields
        for name, value in fields.items():
            assert type(attributes[name]) is type(value)
        assert not any(name.startswith("_") for name in attributes)


def test_a_json_line_is_the_same_with_opentelemetry(monkeypatch):
    factory = RecordFactory("Scheduler-1")
    record = factory.event(1, (logging.INFO, "mine", 1.5, {"action": "greet"}, False))
    formatter = JSONFormatter()
    with_it = factory.log_record(record)
    assert with_it.__dict__[OTEL_EVENT_NAME] == "dask.event"
    assert formatter.encode(with_it) == formatter.encode_fields(record[2])
    monkeypatch.delitem(sys.modules, "opentelemetry._logs")
    assert OTEL_EVENT_NAME not in factory.log_record(record).__dict__
