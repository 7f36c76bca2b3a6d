"""Matching: what records are compared by, and the bytes that find their lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from leandask.reading.lines import InvalidRecord, msg_of
from leandask.records.schema import EVENT, OF_TASKS, RUNS, TRANSITION


def needles_of(name: str, texts: Iterable[str]) -> tuple[bytes, ...]:
    """Return bytes, one of which is in each line whose field `name` is one of `texts`.

    Lines without any of them need not be decoded. Empty if JSON can write one of the
    texts in more than one way.

    Examples
    --------
    >>> needles_of("topic", ["all"]), needles_of("topic", ["all", "é"])
    ((b'"all"',), ())
    """
    texts = list(texts)
    if any(not (t.isascii() and t.isprintable()) or {*t} & {*'"\\'} for t in texts):
        return ()
    needles = [orjson.dumps(text) for text in texts]
    # A payload has stimulus_ids too: JSON in a string, so that quotes are escaped.
    return tuple(n.strip(b'"') if name == "stimulus_id" else n for n in needles)


def touches(record: dict[str, Any], keys: frozenset[str]) -> bool:
    """Whether a record is a transition or a run of a task, or recommends one for it."""
    event_name = record["event_name"]
    if event_name in RUNS:
        return record["task_key"] in keys
    return event_name == TRANSITION and (
        record["task_key"] in keys or not keys.isdisjoint(record["recommendation_keys"])
    )


def stems_from(record: dict[str, Any], stimuli: frozenset[str]) -> bool:
    """Whether a record has one of the stimuli: a transition, a run or an event."""
    if record["event_name"] in OF_TASKS:
        return record.get("stimulus_id") in stimuli
    if record["event_name"] != EVENT or '"stimulus_id":' not in record["payload"]:
        return False
    try:
        msg = msg_of(record)
    except InvalidRecord:
        return False
    if type(msg) is not dict:
        return False
    stimulus = msg.get("stimulus_id")
    return type(stimulus) is str and stimulus in stimuli
