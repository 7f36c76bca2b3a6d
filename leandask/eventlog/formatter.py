"""JSONFormatter: any LogRecord as one bounded line of JSON."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from leandask.records.payload import plain
from leandask.records.schema import OTEL_EVENT_NAME, STANDARD_ATTRIBUTES
from leandask.records.severity import SEVERITY_NUMBERS
from leandask.records.text import CUT, printable_json
from leandask.records.times import rfc3339
from leandask.settings import config

#: Attributes that are not fields; other formatters add the last two.
_NO_FIELDS = frozenset(STANDARD_ATTRIBUTES) | {"asctime", "message"}
#: Longest value of a small field in characters: none of ours is longer.
SMALL_LENGTH = 64
#: Small fields: the only ones kept of a record that would not fit otherwise.
_SMALL = frozenset(
    {
        "timestamp",
        "severity",
        "severity_number",
        "event_name",
        "schema_version",
        "seq",
    }
)
#: Names of the fields in other schemas, where they have one:
#: https://www.elastic.co/docs/reference/ecs/ecs-field-reference and
#: https://opentelemetry.io/docs/specs/otel/logs/data-model/.
#: All other fields get the prefix ``leandask.``.
PRESETS: dict[str, dict[str, str]] = {
    "leandask": {},
    "ecs": {
        "timestamp": "@timestamp",
        "severity": "log.level",
        "severity_number": "event.severity",
        "logger": "log.logger",
        "message": "message",
        "event_name": "event.action",
        "exception": "error.stack_trace",
        "exception_type": "error.type",
        "exception_text": "error.message",
        "trace_id": "trace.id",
        "span_id": "span.id",
        "seq": "event.sequence",
    },
    "otel": {
        "timestamp": "Timestamp",
        "severity": "SeverityText",
        "severity_number": "SeverityNumber",
        "logger": "InstrumentationScope",
        "message": "Body",
        "event_name": "EventName",
        "exception": "exception.stacktrace",
        "exception_type": "exception.type",
        "exception_text": "exception.message",
        "trace_id": "TraceId",
        "span_id": "SpanId",
    },
}


class JSONFormatter(logging.Formatter):
    """Formats every LogRecord as one line of JSON.

    Records of leandask have the fields of the schema. Any other LogRecord has its time,
    severity, logger and message, its traceback as ``exception``, and its additional
    attributes.

    Parameters
    ----------
    record_bytes : int or str, optional
        Longest line. A longer one is cut, and has the field ``truncated``. Default:
        ``leandask.stream.record-bytes``.
    fields : str, optional
        Names of the fields: ``"leandask"``, ``"ecs"`` or ``"otel"``. Default:
        ``leandask.stream.fields``.

    Raises
    ------
    ValueError
        If `record_bytes` is not a size of at least 1 KiB, or `fields` is unknown.

    Examples
    --------
    By name, in :func:`logging.config.dictConfig` or in Dask's own ``logging``::

        formatters:
          json:
            (): leandask.JSONFormatter

    >>> record = logging.LogRecord("x", logging.INFO, "x.py", 1, "a\\nb", None, None)
    >>> record.created = 0.5
    >>> print(JSONFormatter().format(record))
    {"timestamp":"1970-01-01T00:00:00.500000Z","severity":"INFO",\
"severity_number":9,"logger":"x","message":"a\\nb"}
    """

    def __init__(
        self,
        record_bytes: int | str = config.OMITTED,
        fields: str = config.OMITTED,
    ) -> None:
        super().__init__()
        self.record_bytes: int = config.read("stream.record-bytes", record_bytes)
        self._names = PRESETS[config.read("stream.fields", fields)]

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as a line of JSON without its line break."""
        return self.encode(record).decode()

    def encode(self, record: logging.LogRecord) -> bytes:
        """Return `record` as a line of JSON in UTF-8 without its line break."""
        return self.encode_fields(self.fields(record))

    def encode_fields(self, fields: dict[str, Any]) -> bytes:
        """Return fields as a line of JSON in UTF-8 without its line break.

        What can control a terminal is escaped: people look at logs with ``cat``.
        """
        try:
            line = self._line(fields)
        except TypeError:  # a value from a user's filter or ``extra``
            fields = self._made_plain(fields)
            line = self._line(fields)
        length = self.record_bytes
        while len(line) > self.record_bytes and length:
            length //= 2
            line = self._line(_shortened(fields, length))
        return line

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of `record` in the order of the schema.

        A subclass may override this to add or drop fields.
        """
        fields = record.__dict__.copy()
        try:
            # Our LogRecords have all standard attributes, and their fields in order.
            # A comprehension without the standard ones takes a third longer per line.
            fields["scheduler_id"], fields["schema_version"]  # only ours have them
            for name in STANDARD_ATTRIBUTES:
                del fields[name]
            fields.pop("asctime", None)  # set by another formatter
            fields.pop(OTEL_EVENT_NAME, None)
            if record.args or type(record.msg) is not str:
                fields["message"] = record.getMessage()
            else:
                fields["message"] = record.msg
        except KeyError:
            fields = {
                "timestamp": rfc3339(record.created),
                "severity": record.levelname,
                "severity_number": SEVERITY_NUMBERS.get(record.levelno, 0),
                "logger": record.name,
                "message": record.getMessage(),
            } | {n: v for n, v in record.__dict__.items() if n not in _NO_FIELDS}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            fields["exception"] = record.exc_text
        return fields

    def _made_plain(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Replace the values that are not JSON, and leave the others as they are."""
        made: dict[str, Any] = {}
        for name, value in fields.items():
            try:
                orjson.dumps({name: value})
            except TypeError:
                part, _, cut = plain({name: value}, self.record_bytes)
                made.update(part)
                if cut:
                    made["truncated"] = True
            else:
                made[name] = value
        return made

    def _line(self, fields: dict[str, Any]) -> bytes:
        if names := self._names:
            fields = {names.get(n) or f"leandask.{n}": v for n, v in fields.items()}
        line = orjson.dumps(fields)
        if line.isascii() and line.find(0x7F) < 0:  # most lines; see printable_json
            return line
        return printable_json(line)


def _shortened(fields: dict[str, Any], length: int) -> dict[str, Any]:
    """Cut every text to `length` characters, keeping each field's type."""
    if length == 0:
        fields = {name: value for name, value in fields.items() if name in _SMALL}
    return {name: _cut(name, value, length) for name, value in fields.items()} | {
        "truncated": True
    }


def _cut(name: str, value: Any, length: int) -> Any:
    if name in _SMALL:
        length = max(length, SMALL_LENGTH)
    if isinstance(value, str) and len(value) > length:
        head = value[:length] + CUT
        # A payload stays JSON: a string with the start of what it was.
        return orjson.dumps(head).decode() if name == "payload" else head
    if isinstance(value, list):
        return [_cut("", item, length // 8) for item in value[: length // 8]]
    if isinstance(value, dict):
        return _cut("", orjson.dumps(value).decode(), length)
    return value
