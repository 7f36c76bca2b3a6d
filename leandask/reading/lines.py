"""Parse: a line of JSON as the record that it was."""

from __future__ import annotations

from typing import Any

import orjson

from leandask.eventlog.formatter import PRESETS

#: Our names of the fields that a preset of the formatter renames.
_OURS = {theirs: ours for names in PRESETS.values() for ours, theirs in names.items()}

#: The fields that every record has, with their types.
_KINDS = (("scheduler_id", str), ("seq", int), ("timestamp", str))


def record_of(line: bytes) -> dict[str, Any]:
    """Return the record of a line, by the names of the schema.

    Parameters
    ----------
    line : bytes
        One line of JSON, whatever ``leandask.stream.fields`` was when it was written.

    Returns
    -------
    dict
        With the fields ``scheduler_id``, ``seq`` and ``timestamp`` at the least.

    Raises
    ------
    ValueError
        If it is no JSON.
    KeyError
        If it is no record of ours.
    TypeError
        If it is no object, or one of these fields has another type.

    Examples
    --------
    >>> record_of(b'{"@timestamp":"T","leandask.scheduler_id":"S","event.sequence":1}')
    {'timestamp': 'T', 'scheduler_id': 'S', 'seq': 1}
    """
    record: dict[str, Any] = orjson.loads(line)
    if "scheduler_id" not in record or "seq" not in record:
        record = {
            _OURS.get(name) or name.removeprefix("leandask."): value
            for name, value in record.items()
        }
    for name, kind in _KINDS:
        if type(record[name]) is not kind:
            raise TypeError(f"no record, by its {name}: {record[name]!r}")
    return record
