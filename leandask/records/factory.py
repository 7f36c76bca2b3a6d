"""RecordFactory: makes the records of a scheduler, and LogRecords of them.

A LogRecord has the fields of the schema as attributes, so that any formatter shows them
unchanged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from leandask.records.loggers import EVENTS, TRANSITIONS, WORKERS
from leandask.records.payload import n_cut
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
from leandask.records.text import CUT, name_of, one_line, printable_json
from leandask.records.times import rfc3339

if TYPE_CHECKING:
    from distributed.scheduler import Transition

#: Characters that a message has of a name in a list: a key such as
#: ``('random_sample-7ef86f0c32ff64d3bd15df00ccf14220', 0, 12)`` is whole.
LISTED_LENGTH = 64
#: An event on its way to :meth:`RecordFactory.event`: its level, its topic, its time in
#: seconds since the epoch, its msg as :func:`leandask.records.payload.plain` makes it,
#: and whether that was cut. A plain tuple, as it is made on the event loop: with a
#: NamedTuple here and in the queue an event takes a tenth more of its time.
EventSource = tuple[int, str, float, Any, bool]


#: Further fields of a record by name, or a function that returns them for its number
#: (``seq``) once the record is made: it is called in the thread of the drain.
LifeFields = Mapping[str, Any] | Callable[[int], Mapping[str, Any]]


class LifeSource(NamedTuple):
    """What :meth:`RecordFactory.life` makes a record from."""

    level: int
    event_name: str
    #: Seconds since the epoch.
    timestamp: float
    message: str
    fields: LifeFields


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
            level: self.template(EVENTS, level, EVENT, EVENT_FIELDS)
            for level in SEVERITY_NUMBERS
        }
        self._transitions = {
            level: self.template(TRANSITIONS, level, TRANSITION, TRANSITION_FIELDS)
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
        fields["payload"] = printable_json(orjson.dumps(msg)).decode()
        if truncated:
            fields["truncated"] = True
        fields["timestamp"] = rfc3339(timestamp)
        fields["message"] = _describe(topic, msg)
        return level, timestamp, fields

    def worker_line(self, seq: int, source: EventSource) -> Record:
        """Make the record of an event that is a line of a worker's log."""
        record = self.event(seq, source)
        fields, msg = record[2], source[3]
        fields["logger"] = WORKERS.name
        if type(msg) is dict:
            speaker = fields["worker"] or msg.get("host")
            line = f"{speaker}: {msg.get('logger')} - {msg.get('message')}"
            fields["message"] = one_line(line)
        return record

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

    def life(
        self, seq: int, source: LifeSource, logger: logging.Logger = EVENTS
    ) -> Record:
        """Make a record of the scheduler or the stream itself, such as its start."""
        level, event_name, timestamp, message, fields = source
        own = self.template(logger, level, event_name, ("seq",))
        own.update(fields(seq) if callable(fields) else fields, seq=seq)
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

    def template(
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
    """Make the message of an event, with names of what it lists, such as lost tasks."""
    if type(msg) is not dict:
        return one_line(f"{topic}: {msg}")
    words: list[str] = []
    lists: list[str] = []
    for key, value in msg.items():
        if key == "action" and type(value) is str:
            words.insert(0, value)
        elif type(value) is dict:
            missing = n_cut(value)
            lists.append(f"{key}=<{len(value) - bool(missing) + missing}>")
        elif type(value) is list:
            lists.append(f"{key}={_describe_list(value)}")
        else:
            words.append(f"{key}={value}")
    # The lists are last: what a message has no room for is the end of a list's names.
    return one_line(f"{topic}: {' '.join(words + lists)}")


def _describe_list(items: list[Any]) -> str:
    """Show the first of some names and how many more there are, or else their number.

    The first by alphabet, as most lists were sets.

    Examples
    --------
    >>> _describe_list(["b-2", "b-1", "b-3"]), _describe_list([["x", 0]])
    ('b-1 (+2 more)', "('x', 0)")
    >>> _describe_list([1, 2]), _describe_list([])
    ('<2>', '<0>')
    """
    missing = n_cut(items)
    kept = items[:-1] if missing else items
    length = len(kept) + missing
    names = [_listed_name(item) for item in kept]
    if not names or None in names:
        return f"<{length}>"
    first = min(cast("list[str]", names))
    if len(first) > LISTED_LENGTH:
        first = first[:LISTED_LENGTH] + CUT
    return f"{first} (+{length - 1} more)" if length > 1 else first


def _listed_name(item: Any) -> str | None:
    """Return a name, or a key that was a tuple, as text; None for anything else."""
    if type(item) is list and item and type(item[0]) is str:
        simple = all([type(part) in (str, int) for part in item])
        return str(tuple(item)) if simple else None
    return item if type(item) is str else None
