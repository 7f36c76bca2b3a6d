"""Lines: parses a line of a log into a record, or says what is wrong with it.

Only this module decides whether a record is valid:

- :func:`record_of` runs for every line. It checks only the fields that readers and
  filters compare, as each check costs time.
- :func:`check` checks all fields that any reader uses.
- :func:`milliseconds_of`, :func:`seconds_of` and :func:`msg_of` parse single fields.
"""

from __future__ import annotations

from typing import Any, NoReturn

import orjson

from leandask.eventlog.formatter import PRESETS
from leandask.records import times
from leandask.records.schema import EVENT, RECORDS_DROPPED, RUNS, TRANSITION

#: Bound of all numbers: JavaScript, which shows them, has no larger exact integers.
EXACT = 2**53

#: Our names of the fields that a preset of the formatter renames.
_OURS = {theirs: ours for names in PRESETS.values() for ours, theirs in names.items()}
_TEXT, _NUMBER, _LIST, _TEXT_OR_NULL = (str,), (int,), (list,), (str, type(None))
#: Types of the fields that all records have.
_COMMON: dict[str, tuple[type, ...]] = {
    "timestamp": _TEXT,
    "scheduler_id": _TEXT,
    "seq": _NUMBER,
    "event_name": _TEXT,
    "severity": _TEXT,
    "severity_number": _NUMBER,
    "schema_version": _NUMBER,
}
#: Those without which a line is not read.
_REQUIRED = {"timestamp", "scheduler_id", "seq", "schema_version"}
#: Types of the other fields, by ``event_name``.
_BY_KIND: dict[str, dict[str, tuple[type, ...]]] = {
    TRANSITION: {
        "task_start": _TEXT,
        "task_finish": _TEXT,
        "task_key": _TEXT,
        "stimulus_id": _TEXT,
        "n_recommendations": _NUMBER,
        "recommendation_keys": _LIST,
        "recommendation_states": _LIST,
    },
    EVENT: {
        "topic": _TEXT,
        "payload": _TEXT,
        "action": _TEXT_OR_NULL,
        "worker": _TEXT_OR_NULL,
        "client": _TEXT_OR_NULL,
    },
    **{name: {"task_key": _TEXT, "task_prefix": _TEXT} for name in RUNS},
    RECORDS_DROPPED: {"dropped_since_last": _NUMBER},
}


class InvalidRecord(ValueError):
    """A line that is not a record, or a record that breaks the schema."""

    def __init__(self, field: str, text: str, kind: str = "corrupt") -> None:
        super().__init__(text)
        #: The first wrong or missing field; "record" if the line is not a JSON object.
        self.field = field
        #: Key of ``problems.KINDS``; "foreign" if a field of all records is missing.
        self.kind = kind


def record_of(line: bytes) -> dict[str, Any]:
    """Return the record of a line, by the names of the schema.

    It does not matter what ``leandask.stream.fields`` was when the line was written.

    Raises
    ------
    InvalidRecord
        If it is not JSON, or a field that readers compare is not valid.

    Examples
    --------
    >>> line = (b'{"@timestamp":"T","log.level":"INFO","event.severity":9,'
    ...     b'"event.action":"E","leandask.schema_version":1,'
    ...     b'"leandask.scheduler_id":"S","event.sequence":1}')
    >>> record_of(line)["seq"]
    1
    """
    try:
        record: dict[str, Any] = orjson.loads(line)
    except ValueError as e:
        raise InvalidRecord("record", str(e)) from None
    if _is_comparable(record):
        return record
    for fix in (_renamed, _completed):
        if (fixed := fix(record)) is not record and _is_comparable(fixed):
            return fixed
        record = fixed
    _refuse(record)


def _renamed(record: Any) -> Any:
    """Give the fields that a preset of the formatter renamed our names."""
    if type(record) is not dict or ("scheduler_id" in record and "seq" in record):
        return record
    return {_OURS.get(n) or n.removeprefix("leandask."): v for n, v in record.items()}


def _completed(record: Any) -> Any:
    """Add the fields that a subclass of the formatter dropped, with empty values."""
    if type(record) is not dict or type(record.get("event_name")) is not str:
        return record
    if not record.keys() >= _REQUIRED:
        return record
    fields = _COMMON | _BY_KIND.get(record["event_name"], {})
    if fields.keys() <= record.keys():
        return record
    return {name: kinds[-1]() for name, kinds in fields.items()} | record


def check(record: Any) -> None:
    """Check the types of all fields that readers use.

    Raises
    ------
    InvalidRecord
        If it breaks the schema.

    Examples
    --------
    >>> check({"timestamp": 5})
    Traceback (most recent call last):
        ...
    leandask.reading.lines.InvalidRecord: timestamp is not valid: 5
    """
    if not (_is_comparable(record) and _is_usable(record)):
        _refuse(record)


def _is_comparable(record: Any) -> bool:
    # Runs for every line. A loop over the tables above takes three times as long.
    try:
        event_name = record["event_name"]
        if (
            type(seq := record["seq"]) is not int
            or not 0 < seq < EXACT
            or type(record["timestamp"]) is not str
            or type(record["scheduler_id"]) is not str
            or type(record["severity_number"]) is not int
            or type(record["schema_version"]) is not int
        ):
            return False
        if event_name == TRANSITION:
            return (
                type(record["task_key"]) is str
                and type(record["stimulus_id"]) is str
                and type(keys := record["recommendation_keys"]) is list
                and (not keys or {*map(type, keys)} == {str})
            )
        if event_name == EVENT:
            return (
                type(record["topic"]) is str
                and type(record["payload"]) is str
                and type(record["action"]) in _TEXT_OR_NULL
                and type(record["worker"]) in _TEXT_OR_NULL
                and type(record["client"]) in _TEXT_OR_NULL
            )
        if event_name in RUNS:
            return (
                type(record["task_key"]) is type(record["task_prefix"]) is str
                and type(record.get("worker", "")) is str
                and type(record.get("stimulus_id", "")) is str
            )
        return type(event_name) is str
    except (KeyError, TypeError):
        return False


def _is_usable(record: dict[str, Any]) -> bool:
    """Check the other fields of a record that is comparable."""
    try:
        event_name = record["event_name"]
        if event_name == TRANSITION:
            keys = record["recommendation_keys"]
            states = record["recommendation_states"]
            return (
                type(record["task_start"]) is str
                and type(record["task_finish"]) is str
                and type(record["severity"]) is str
                and type(record["n_recommendations"]) is int
                and type(states) is list
                and ((not keys and not states) or _are_pairs(keys, states))
            )
        if event_name == RECORDS_DROPPED:
            return not _wrong_field(record)
        return type(record["severity"]) is str
    except KeyError:
        return False


def _wrong_field(record: dict[str, Any]) -> str:
    """Name the first field that is missing or wrong; empty if there is none."""
    for name, kinds in _COMMON.items():
        if name not in record or type(record[name]) not in kinds:
            return name
    for name, kinds in _BY_KIND.get(record["event_name"], {}).items():
        if name not in record or type(record[name]) not in kinds:
            return name
    if not 0 < record["seq"] < EXACT:
        return "seq"
    if record["event_name"] in RUNS:
        optional = ("worker", "stimulus_id")
        return next((n for n in optional if type(record.get(n, "")) is not str), "")
    if record["event_name"] == RECORDS_DROPPED:
        return "" if 0 <= record["dropped_since_last"] < EXACT else "dropped_since_last"
    if record["event_name"] == TRANSITION and not _are_pairs(
        record["recommendation_keys"], record["recommendation_states"]
    ):
        return "recommendation_keys"
    return ""


def _are_pairs(keys: list[Any], states: list[Any]) -> bool:
    return len(keys) == len(states) and {*map(type, keys + states)} <= {str}


def _refuse(record: Any) -> NoReturn:
    if type(record) is not dict:
        raise InvalidRecord("record", "it is not a JSON object")
    name = _wrong_field(record)
    if name in record:
        raise InvalidRecord(name, f"{name} is not valid: {record[name]!r}")
    kind = "foreign" if name in _COMMON else "corrupt"
    raise InvalidRecord(name, f"it has no field {name!r}", kind)


def milliseconds_of(record: dict[str, Any]) -> int:
    """Return the time of a record in milliseconds, or raise InvalidRecord."""
    try:
        return times.milliseconds(record["timestamp"])
    except ValueError:
        raise _wrong_time(record) from None


def seconds_of(record: dict[str, Any]) -> float:
    """Return the time of a record in seconds, or raise InvalidRecord."""
    try:
        return times.seconds_of(record["timestamp"])
    except ValueError:
        raise _wrong_time(record) from None


def msg_of(record: dict[str, Any]) -> Any:
    """Return the msg of an event, as JSON has it: tuples and sets are lists.

    Raises
    ------
    InvalidRecord
        If its ``payload`` is not JSON.
    """
    try:
        return orjson.loads(record["payload"])
    except ValueError as e:
        raise InvalidRecord("payload", f"payload is not JSON: {e}") from None


def _wrong_time(record: dict[str, Any]) -> InvalidRecord:
    return InvalidRecord("timestamp", f"it is not a time: {record['timestamp']!r}")
