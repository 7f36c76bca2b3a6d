"""RecordFactory: makes the records of a scheduler, and LogRecords of them.

A LogRecord has the fields of the schema as attributes, so that any formatter shows them
unchanged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from leandask.records.loggers import EVENTS, TRANSITIONS
from leandask.records.schema import (
    EVENT,
    EVENT_FIELDS,
    OTEL_EVENT_NAME,
    RECOMMENDATIONS,
    SCHEMA_VERSION,
    STANDARD_ATTRIBUTES,
    TRANSITION,
    TRANSITION_FIELDS,
    Record,
)
from leandask.records.severity import SEVERITY_NUMBERS
from leandask.records.text import name_of, one_line
from leandask.records.times import rfc3339

if TYPE_CHECKING:
    from distributed.scheduler import Transition

#: An event on its way to :meth:`RecordFactory.event`: its level, its topic, its time in
#: seconds since the epoch, its msg as :func:`leandask.records.payload.plain` makes it,
#: and whether that was cut. A plain tuple, as it is made on the event loop: with a
#: NamedTuple here and in the queue an event takes a tenth more of its time.
EventSource = tuple[int, str, float, Any, bool]


class LifeSource(NamedTuple):
    """What :meth:`RecordFactory.life` makes a record from."""

    level: int
    event_name: str
    #: Seconds since the epoch.
    timestamp: float
    message: str
    #: Further fields of the schema.
    fields: Mapping[str, Any]


class RecordFactory:
    """Makes the records of one scheduler, and LogRecords of them.

    ``scheduler_id`` and ``seq`` together identify a record.
    """

    def __init__(self, scheduler_id: str) -> None:
        self.scheduler_id = scheduler_id
        # The user may have set another factory, with logging.setLogRecordFactory.
        model = logging.getLogRecordFactory()("", 0, __file__, 0, "", (), None)
        self._kind = type(model)
        self._epoch = model.created - model.relativeCreated / 1000
        self._attributes = model.__dict__ | {"args": None}
        if "taskName" in self._attributes:  # Python 3.12 and up
            self._attributes["taskName"] = None
        self._users_own = {
            name: self._attributes.pop(name)
            for name in [*self._attributes]
            if name not in STANDARD_ATTRIBUTES
        }
        self._events = {
            level: self._template(EVENTS, level, EVENT, EVENT_FIELDS)
            for level in (logging.INFO, logging.WARNING)
        }
        self._transitions = {
            level: self._template(TRANSITIONS, level, TRANSITION, TRANSITION_FIELDS)
            for level in (logging.DEBUG, logging.INFO)
        }

    def event(self, seq: int, source: EventSource) -> Record:
        """Make the record of an event."""
        level, topic, timestamp, msg, truncated = source
        fields = self._events[level].copy()
        named = msg if type(msg) is dict else {}
        worker, client = named.get("worker"), named.get("client")
        fields["seq"] = seq
        fields["topic"] = topic
        fields["action"] = _name(named.get("action"))
        fields["worker"] = _name(worker) or (topic if "://" in topic else None)
        fields["client"] = _name(client) or (
            topic if topic.startswith("Client-") else None
        )
        fields["payload"] = orjson.dumps(msg).decode()
        if truncated:
            fields["truncated"] = True
        fields["timestamp"] = rfc3339(timestamp)
        fields["message"] = _describe(topic, msg)
        return level, timestamp, fields

    def transition(self, seq: int, transition: Transition) -> Record:
        """Make the record of a transition: INFO where the task erred, else DEBUG."""
        key, start, finish, recommendations, stimulus_id, timestamp = transition
        level = logging.INFO if finish == "erred" else logging.DEBUG
        fields = self._transitions[level].copy()
        task_key = name_of(key)
        fields["seq"] = seq
        fields["task_key"] = task_key
        fields["task_start"] = start
        fields["task_finish"] = finish
        fields["stimulus_id"] = name_of(stimulus_id)
        fields["n_recommendations"] = n = len(recommendations)
        if n > RECOMMENDATIONS:
            fields["truncated"] = True
            recommendations = dict(islice(recommendations.items(), RECOMMENDATIONS))
        fields["recommendation_keys"] = [name_of(key) for key in recommendations]
        fields["recommendation_states"] = list(recommendations.values())
        fields["timestamp"] = rfc3339(timestamp)
        fields["message"] = one_line(f"{task_key}: {start} -> {finish}")
        return level, timestamp, fields

    def life(self, seq: int, source: LifeSource) -> Record:
        """Make a record of the scheduler or the stream itself, such as its start."""
        level, event_name, timestamp, message, fields = source
        own = self._template(EVENTS, level, event_name, ("seq",))
        own.update(fields, seq=seq)
        own["timestamp"] = rfc3339(timestamp)
        own["message"] = one_line(message)
        return level, timestamp, own

    def log_record(self, record: Record) -> logging.LogRecord:
        """Make a LogRecord that has the fields of a record as attributes."""
        level, timestamp, fields = record
        attributes = self._attributes.copy()
        attributes.update(fields)
        attributes["name"] = fields["logger"]
        attributes["levelno"] = level
        attributes["levelname"] = fields["severity"]
        attributes["msg"] = fields["message"]
        attributes["created"] = timestamp
        attributes["msecs"] = timestamp % 1 * 1000
        attributes["relativeCreated"] = (timestamp - self._epoch) * 1000
        if "opentelemetry._logs" in sys.modules:  # else it is one more field to others
            attributes[OTEL_EVENT_NAME] = fields["event_name"]
        log_record = self._kind.__new__(self._kind)
        log_record.__dict__ = attributes
        return log_record

    def _template(
        self,
        logger: logging.Logger,
        level: int,
        event_name: str,
        names: tuple[str, ...],
    ) -> dict[str, Any]:
        """Make a dict with all fields of a kind of records.

        Each record is a copy, which is fast to fill, as it does not grow.
        """
        return {
            "timestamp": "",
            "severity": logging.getLevelName(level),
            "severity_number": SEVERITY_NUMBERS[level],
            "logger": logger.name,
            "message": "",
            "event_name": event_name,
            "schema_version": SCHEMA_VERSION,
            "scheduler_id": self.scheduler_id,
            **dict.fromkeys(names),
            **self._users_own,
        }


def _name(value: Any) -> str | None:
    return name_of(value) if type(value) is str else None


def _describe(topic: str, msg: Any) -> str:
    if type(msg) is not dict:
        return one_line(f"{topic}: {msg}")
    words = [msg["action"]] if type(msg.get("action")) is str else []
    for key, value in msg.items():
        if key == "action" and words:
            continue
        if type(value) is dict or type(value) is list:
            value = f"<{len(value)}>"
        words.append(f"{key}={value}")
    return one_line(f"{topic}: {' '.join(words)}")
