"""Records: our structured form of an event or transition.

A record leaves as a :class:`logging.LogRecord` that carries the fields of the schema as
attributes, so that any formatter shows them unchanged. The fields and their types are
listed in ``docs/records.md``; a name never changes its type within a schema version.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

import orjson

from leandask.levels import SEVERITY_NUMBERS
from leandask.payload import CUT

#: Version of the fields' names and types.
SCHEMA_VERSION = 1
#: Logger of the events, and of the scheduler's own life.
EVENTS = logging.getLogger("leandask.events")
#: Without this, logging's last resort would print events where nobody asked for them.
EVENTS.addHandler(logging.NullHandler())

#: Characters kept of a topic, an action, an address or a key.
NAME_LENGTH = 512
#: Characters kept of the readable message.
MESSAGE_LENGTH = 250


def rfc3339(timestamp: float) -> str:
    """Format a time as RFC 3339 in UTC with microseconds.

    Parameters
    ----------
    timestamp : float
        Seconds since the epoch.

    Returns
    -------
    str

    Examples
    --------
    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    seconds, microseconds = divmod(round(timestamp * 1e6), 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}Z"


@functools.lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def one_line(text: str, limit: int = MESSAGE_LENGTH) -> str:
    """Cut a text, and show its control characters as escapes.

    Parameters
    ----------
    text : str
    limit : int, optional
        Characters to keep.

    Returns
    -------
    str
        A text that can't start another line, nor steer a terminal.

    Examples
    --------
    >>> print(one_line("a\\nb"))
    a\\nb
    """
    if len(text) > limit:
        text = text[:limit] + CUT
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


class RecordFactory:
    """Makes the LogRecords of one scheduler.

    Parameters
    ----------
    scheduler_id : str
        ``Scheduler.id``: with ``seq`` it names a record for ever.
    """

    #: Class of the LogRecords: what :func:`logging.setLogRecordFactory` asks for.
    kind: type[logging.LogRecord]
    #: Time at which logging was loaded, in seconds since the epoch.
    epoch: float

    def __init__(self, scheduler_id: str) -> None:
        record = logging.getLogRecordFactory()(
            EVENTS.name, logging.INFO, __file__, 0, "", (), None
        )
        self.kind = type(record)
        self.epoch = record.created - record.relativeCreated / 1000
        self._attributes = record.__dict__ | {"args": None}
        if "taskName" in self._attributes:  # Python 3.12 and up
            self._attributes["taskName"] = None
        self._common = {"schema_version": SCHEMA_VERSION, "scheduler_id": scheduler_id}

    def event(
        self, seq: int, level: int, topic: str, timestamp: float, msg: Any, cut: bool
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
        cut : bool
            Whether `msg` was truncated.

        Returns
        -------
        logging.LogRecord
        """
        named = msg if type(msg) is dict else {}
        fields = {
            "event_name": "dask.event",
            **self._common,
            "seq": seq,
            "topic": topic,
            "action": _name(named.get("action")),
            "worker": _name(named.get("worker")) or (topic if "://" in topic else None),
            "client": _name(named.get("client"))
            or (topic if topic.startswith("Client-") else None),
            "payload": orjson.dumps(msg).decode(),
        }
        if cut:
            fields["truncated"] = True
        return self._record(level, timestamp, _message(topic, msg), fields)

    def dropped(
        self, seq: int, timestamp: float, total: int, since_last: int
    ) -> logging.LogRecord:
        """Make the summary of a loss.

        Parameters
        ----------
        seq : int
            Number of the record.
        timestamp : float
            Seconds since the epoch.
        total, since_last : int
            Records dropped since the start, and since the last summary.

        Returns
        -------
        logging.LogRecord
        """
        fields = {
            "event_name": "leandask.records-dropped",
            **self._common,
            "seq": seq,
            "dropped_total": total,
            "dropped_since_last": since_last,
        }
        message = f"{since_last} records were dropped, {total} since the start"
        return self._record(logging.WARNING, timestamp, message, fields)

    def _record(
        self, level: int, timestamp: float, message: str, fields: dict[str, Any]
    ) -> logging.LogRecord:
        record = self.kind.__new__(self.kind)
        record.__dict__ = {
            **self._attributes,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
            "created": timestamp,
            "msecs": timestamp % 1 * 1000,
            "relativeCreated": (timestamp - self.epoch) * 1000,
            "timestamp": rfc3339(timestamp),
            "severity": logging.getLevelName(level),
            "severity_number": SEVERITY_NUMBERS[level],
            "logger": EVENTS.name,
            **fields,
        }
        return record


def _name(value: Any) -> str | None:
    return value[:NAME_LENGTH] if type(value) is str else None


def _message(topic: str, msg: Any) -> str:
    if type(msg) is not dict:
        return one_line(f"{topic}: {msg}")
    words = [msg["action"]] if type(msg.get("action")) is str else []
    for key, value in msg.items():
        if key == "action":
            continue
        if type(value) is dict or type(value) is list:
            value = f"<{len(value)}>"
        words.append(f"{key}={value}")
    return one_line(f"{topic}: {' '.join(words)}")
