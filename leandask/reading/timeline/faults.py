"""Faults: what makes a record of no use for a timeline."""

from __future__ import annotations

from typing import Any

from leandask.reading.problems import WRONG
from leandask.reading.timeline.columns import BEFORE
from leandask.reading.timeline.schedulers import EXACT
from leandask.records.schema import RECORDS_DROPPED, TRANSITION
from leandask.records.times import milliseconds


def wrong_field(record: Any) -> str:
    """Name the first field of a record that a timeline can't use.

    Parameters
    ----------
    record : object
        Anything.

    Returns
    -------
    str
        Out of a fixed set, whatever the record holds.

    Examples
    --------
    >>> wrong_field({"timestamp": "yesterday"})
    'timestamp'
    """
    if type(record) is not dict:
        return "record"
    try:
        milliseconds(record["timestamp"])
    except WRONG:
        return "timestamp"
    for field, kind in (("scheduler_id", str), ("seq", int), ("event_name", str)):
        if type(record.get(field)) is not kind:
            return field
    if not 0 < record["seq"] < EXACT:
        return "seq"
    if record["event_name"] == TRANSITION:
        start = record.get("task_start")
        known = type(start) is str and start in BEFORE
        return "task_finish" if known else "task_start"
    if record["event_name"] == RECORDS_DROPPED:
        return "dropped_since_last"
    for field in ("worker", "topic", "payload"):
        if type(record.get(field)) is not str:
            return field
    return "severity_number"
