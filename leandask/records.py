"""Records: our structured form of an event or transition.

A record leaves as a :class:`logging.LogRecord` that carries the fields of the schema as
attributes, so that any formatter shows them unchanged. The fields and their types are
listed in ``docs/records.md``; a name never changes its type within a schema version.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from leandask.levels import SEVERITY_NUMBERS
from leandask.text import name_of, one_line, rfc3339

if TYPE_CHECKING:
    from distributed.scheduler import Transition

#: Version of the fields' names and types.
SCHEMA_VERSION = 1
#: Logger of the events, and of the scheduler's own life.
EVENTS = logging.getLogger("leandask.events")
#: Logger of the task transitions.
TRANSITIONS = logging.getLogger("leandask.transitions")
for _logger in (EVENTS, TRANSITIONS):
    # Without it, logging's last resort would print records that nobody asked for.
    _logger.addHandler(logging.NullHandler())
# Transitions are off until this level is lowered, by ``leandask.stream.transitions`` or
# by the user, as a scheduler makes tens of thousands of them in a second.
TRANSITIONS.setLevel(logging.WARNING)

#: Recommendations of a transition that are named; all are counted.
RECOMMENDATIONS = 20


class RecordFactory:
    """Makes the LogRecords of one scheduler.

    Parameters
    ----------
    scheduler_id : str
        ``Scheduler.id``: with ``seq`` it names a record for ever.
    """

    def __init__(self, scheduler_id: str) -> None:
        self.scheduler_id = scheduler_id
        #: What :func:`logging.setLogRecordFactory` asks for.
        record = logging.getLogRecordFactory()("", 0, __file__, 0, "", (), None)
        self._kind = type(record)
        self._attributes = record.__dict__ | {"args": None}
        if "taskName" in self._attributes:  # Python 3.12 and up
            self._attributes["taskName"] = None
        self._epoch = record.created - record.relativeCreated / 1000
        self._events = {
            level: self._share(EVENTS, level, "dask.event")
            for level in (logging.INFO, logging.WARNING)
        }
        name = "dask.task.transition"
        self._transition = self._share(TRANSITIONS, logging.DEBUG, name)
        self._erred = self._share(TRANSITIONS, logging.INFO, name)

    def event(
        self,
        seq: int,
        level: int,
        topic: str,
        timestamp: float,
        msg: Any,
        truncated: bool,
    ) -> logging.LogRecord:
        """Make the record of an event.

        Parameters
        ----------
        seq : int
            Number of the record.
        level : int
            Level of logging.
        topic : str
        timestamp : float
            The event's own time, in seconds since the epoch.
        msg : object
            Plain JSON values, as :func:`leandask.payload.plain` makes them.
        truncated : bool
            Whether `msg` was cut.

        Returns
        -------
        logging.LogRecord
        """
        named = msg if type(msg) is dict else {}
        worker, client = named.get("worker"), named.get("client")
        fields = {
            "seq": seq,
            "topic": topic,
            "action": _name(named.get("action")),
            "worker": _name(worker) or (topic if "://" in topic else None),
            "client": _name(client) or (topic if topic[:7] == "Client-" else None),
            "payload": orjson.dumps(msg).decode(),
        }
        if truncated:
            fields["truncated"] = True
        shared = self._events[level]
        return self._make(shared, timestamp, _describe(topic, msg), fields)

    def transition(self, seq: int, transition: Transition) -> logging.LogRecord:
        """Make the record of a transition.

        Parameters
        ----------
        seq : int
            Number of the record.
        transition : distributed.scheduler.Transition

        Returns
        -------
        logging.LogRecord
            Of level INFO where the task erred, else DEBUG.
        """
        key, start, finish, recommendations, stimulus_id, timestamp = transition
        task_key = name_of(key)
        keys: list[str] = []
        states: list[str] = []
        if recommendations:
            keys = list(map(name_of, islice(recommendations, RECOMMENDATIONS)))
            states = list(islice(recommendations.values(), RECOMMENDATIONS))
        fields = {
            "seq": seq,
            "task_key": task_key,
            "task_start": start,
            "task_finish": finish,
            "stimulus_id": name_of(stimulus_id),
            "n_recommendations": len(recommendations),
            "recommendation_keys": keys,
            "recommendation_states": states,
        }
        if len(recommendations) > RECOMMENDATIONS:
            fields["truncated"] = True
        shared = self._erred if finish == "erred" else self._transition
        message = f"{one_line(task_key)}: {start} -> {finish}"
        return self._make(shared, timestamp, message, fields)

    def life(
        self,
        seq: int,
        level: int,
        event_name: str,
        timestamp: float,
        message: str,
        fields: Mapping[str, Any],
    ) -> logging.LogRecord:
        """Make a record of the scheduler's or the stream's own life.

        Parameters
        ----------
        seq : int
            Number of the record.
        level : int
            Level of logging.
        event_name : str
        timestamp : float
            Seconds since the epoch.
        message : str
        fields : mapping
            Further fields of the schema.

        Returns
        -------
        logging.LogRecord
        """
        shared = self._share(EVENTS, level, event_name)
        fields = {"seq": seq, **fields}
        return self._make(shared, timestamp, one_line(message), fields)

    def _make(
        self,
        shared: dict[str, Any],
        timestamp: float,
        message: str,
        fields: dict[str, Any],
    ) -> logging.LogRecord:
        attributes = shared.copy()
        attributes.update(fields)
        attributes["timestamp"] = rfc3339(timestamp)
        attributes["message"] = attributes["msg"] = message
        attributes["created"] = timestamp
        attributes["msecs"] = timestamp % 1 * 1000
        attributes["relativeCreated"] = (timestamp - self._epoch) * 1000
        record = self._kind.__new__(self._kind)
        record.__dict__ = attributes
        return record

    def _share(
        self, logger: logging.Logger, level: int, event_name: str
    ) -> dict[str, Any]:
        """What all records of a logger, level and event_name have in common."""
        return {
            **self._attributes,
            "name": logger.name,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "timestamp": "",
            "severity": logging.getLevelName(level),
            "severity_number": SEVERITY_NUMBERS[level],
            "logger": logger.name,
            "message": "",
            "event_name": event_name,
            "schema_version": SCHEMA_VERSION,
            "scheduler_id": self.scheduler_id,
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
