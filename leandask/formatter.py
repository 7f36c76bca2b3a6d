"""JSONFormatter: any LogRecord as one bounded line of JSON."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from leandask import config
from leandask.levels import SEVERITY_NUMBERS
from leandask.payload import CUT, plain
from leandask.records import rfc3339

#: Attributes that every LogRecord has; all others are fields.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "asctime",
    "message",
    "taskName",  # Python 3.12 and up
}
#: Fields of a small and fixed size: what is left of a record that nothing makes fit.
_SMALL = (
    "timestamp",
    "severity",
    "severity_number",
    "event_name",
    "schema_version",
    "seq",
)


class JSONFormatter(logging.Formatter):
    """Formats every LogRecord as one line of JSON.

    Records of leandask have the fields of the schema. Any other LogRecord has its time,
    severity, logger and message, its traceback as ``exception``, and whatever else it
    carries as attributes.

    Parameters
    ----------
    record_bytes : int or str, optional
        Longest line. What is longer is cut, and has the field ``truncated``. Default:
        ``leandask.stream.record-bytes``.

    Raises
    ------
    ValueError
        If `record_bytes` is no size of at least 1 KiB.

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

    def __init__(self, record_bytes: int | str = config.OMITTED) -> None:
        super().__init__()
        self.record_bytes: int = config.read("stream.record-bytes", record_bytes)

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as a line of JSON without its line break."""
        return self.encode(record).decode()

    def encode(self, record: logging.LogRecord) -> bytes:
        """Return `record` as a line of JSON in UTF-8 without its line break."""
        fields = self.fields(record)
        try:
            line = orjson.dumps(fields)
        except TypeError:  # the value of a user's filter or ``extra``
            fields, _, cut = plain(fields, self.record_bytes)
            line = orjson.dumps(fields | {"truncated": True} if cut else fields)
        length = self.record_bytes
        while len(line) > self.record_bytes:
            length //= 2
            line = orjson.dumps(_shortened(fields, length))
        return line

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of `record` in the order of the schema.

        A subclass may override this to add, drop or rename fields.
        """
        fields = {
            "timestamp": rfc3339(record.created),
            "severity": record.levelname,
            "severity_number": SEVERITY_NUMBERS.get(record.levelno, 0),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD:
                fields[name] = value
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            fields["exception"] = record.exc_text
        return fields


def _shortened(fields: dict[str, Any], length: int) -> dict[str, Any]:
    """Cut every text to `length` characters, keeping each field's type."""
    if length == 0:
        fields = {name: fields[name] for name in _SMALL if name in fields}
    return {name: _cut(name, value, length) for name, value in fields.items()} | {
        "truncated": True
    }


def _cut(name: str, value: Any, length: int) -> Any:
    if isinstance(value, str) and name not in _SMALL and len(value) > length:
        head = value[:length] + CUT
        # A payload stays JSON: the text of what it was.
        return orjson.dumps(head).decode() if name == "payload" else head
    if isinstance(value, list):
        return [_cut("", item, length // 8) for item in value[: length // 8]]
    if isinstance(value, dict):
        return _cut("", orjson.dumps(value).decode(), length)
    return value
