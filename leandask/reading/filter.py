"""Filter: which records of a log are wanted."""

from __future__ import annotations

import datetime
import logging
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from leandask.reading.matching import needles_of, stems_from, touches
from leandask.records.loggers import EVENTS, WORKERS
from leandask.records.schema import (
    EVENT,
    OF_TASKS,
    RUNS,
    SAMPLE,
    TASK_ERRED,
    TRANSITION,
)
from leandask.records.severity import (
    SEVERITIES,
    SEVERITY_NUMBERS,
    WARNING_NUMBER,
    severity_number,
)
from leandask.records.text import name_of
from leandask.records.times import moment, rfc3339, seconds_of

if TYPE_CHECKING:
    from dask.typing import Key
    from typing_extensions import Unpack

#: Types of the parameters of a filter: one or several texts, and a time.
Texts = str | list[str] | set[str] | frozenset[str]
Moment = str | float | datetime.datetime | datetime.timedelta
#: Fields that a filter compares. ``key`` also finds a task among recommendations.
FIELDS = ("topic", "action", "event_name", "key", "stimulus_id", "worker", "client")
#: Seconds by which records may be out of order.
SLACK = 60


class Filters(TypedDict, total=False):
    """The parameters of :class:`Filter`, for functions that pass them on."""

    topic: Texts | None
    action: Texts | None
    event_name: Texts | None
    key: Key | list[Key] | set[Key] | frozenset[Key] | None
    stimulus_id: Texts | None
    worker: Texts | None
    client: Texts | None
    level: str | int | None
    since: Moment | None
    until: Moment | None


class RecordFilter(Protocol):
    """Says which records are wanted.

    It may also have a method ``take``, which gets whole lines of one scheduler, all as
    our formatter writes them, before any is decoded. It returns them with those empty
    that need no decoding.
    """

    #: Each wanted line contains at least one of these; empty if none are known.
    needles: tuple[bytes, ...]

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""


class Filter:
    """Wants the records that match all of its parameters.

    Parameters
    ----------
    topic, action, event_name, key, stimulus_id, worker, client : optional
        A text, or a list or set of texts; a record must have one of them. A key may be
        a tuple. It finds the task's own transitions, and those that recommend one for
        it.
    level : str or int, optional
        Smallest level: ``"WARNING"``, ``logging.WARNING``.
    since, until : str, float, datetime.datetime or datetime.timedelta, optional
        Times, both included: ISO 8601 (UTC where it names no offset), seconds since the
        epoch, or how long ago, as ``"15 minutes"``.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not valid.

    Examples
    --------
    >>> wanted = Filter(action="remove-worker", level="WARNING")
    >>> wanted.matches({"event_name": "dask.event", "action": "remove-worker",
    ...     "severity_number": 13})
    True
    >>> Filter(since="noon")
    Traceback (most recent call last):
        ...
    ValueError: since must be an ISO 8601 time such as '2026-11-24T12:00Z', or how \
long ago such as '15 minutes'; got 'noon'
    """

    def __init__(
        self,
        *,
        topic: Texts | None = None,
        action: Texts | None = None,
        event_name: Texts | None = None,
        key: Key | list[Key] | set[Key] | frozenset[Key] | None = None,
        stimulus_id: Texts | None = None,
        worker: Texts | None = None,
        client: Texts | None = None,
        level: str | int | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> None:
        given = (topic, action, event_name, key, stimulus_id, worker, client)
        self._texts = {
            name: _texts(name, value)
            for name, value in zip(FIELDS, given, strict=True)
            if value is not None
        }
        self._level = severity_number(level)
        self._since = moment("since", since)
        self._until = moment("until", until)
        #: Time before which there is no wanted record, even if some are out of order.
        self.horizon = rfc3339(seconds_of(self._since) - SLACK) if self._since else ""
        #: Time after which there is none either.
        self.end = rfc3339(seconds_of(self._until) + SLACK) if self._until else ""
        texts = {**self._texts}
        self._event_names = texts.pop("event_name", None)
        self._keys = texts.pop("key", None)
        self._stimuli = texts.pop("stimulus_id", None)
        #: Fields that only events have, and of which runs have the worker.
        self._of_events = tuple(texts.items())
        self.needles = self._find_needles()

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__name__}({given})"

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters as plain JSON values, which make the same filter."""
        given: dict[str, Any] = {n: sorted(texts) for n, texts in self._texts.items()}
        if self._level:
            given["level"] = next(n for n, i in SEVERITIES.items() if i == self._level)
        if self._since:
            given["since"] = self._since
        if self._until:
            given["until"] = self._until
        return given

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted.

        Parameters
        ----------
        record : dict
            A valid record, by the names of the schema.
        """
        if self._since and record["timestamp"] < self._since:
            return False
        if self._until and record["timestamp"] > self._until:
            return False
        if self._level and record["severity_number"] < self._level:
            return False
        return not self._texts or self._has_texts(record)

    def _has_texts(self, record: dict[str, Any]) -> bool:
        event_name = record["event_name"]
        if self._event_names is not None and event_name not in self._event_names:
            return False
        if self._of_events and event_name != EVENT and event_name not in RUNS:
            return False
        for name, texts in self._of_events:
            if record.get(name) not in texts:
                return False
        if self._keys is not None and not touches(record, self._keys):
            return False
        return self._stimuli is None or stems_from(record, self._stimuli)

    def _find_needles(self) -> tuple[bytes, ...]:
        """Return the needles of one field: the one whose needles are longest."""
        found = [needles_of(name, texts) for name, texts in self._texts.items()]
        if self._level > SEVERITY_NUMBERS[logging.INFO]:
            names = [name for name, n in SEVERITIES.items() if n >= self._level]
            found.append(needles_of("severity", names))
        known = [needles for needles in found if needles]
        return max(known, key=lambda n: min(map(len, n)), default=())


class ListFilter(Filter):
    """Wants what a list of records shows: samples only by their ``event_name``."""

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        is_shown = record["event_name"] != SAMPLE or self._event_names is not None
        return is_shown and super().matches(record)


class EventFilter(ListFilter):
    """Wants records that tell no single task's way, and match all of its parameters.

    Those are neither transitions nor runs, but for runs that erred by themselves.

    Parameters
    ----------
    **filters
        As for :class:`ListFilter`.
    """

    def __init__(self, **filters: Unpack[Filters]) -> None:
        super().__init__(**filters)
        names = [EVENTS.name, WORKERS.name, TASK_ERRED]
        self.needles = self.needles or needles_of("logger", names)

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        event_name = record["event_name"]
        if event_name in RUNS and self._event_names is None:
            is_shown = record["severity_number"] >= WARNING_NUMBER
        else:
            is_shown = event_name != TRANSITION
        return is_shown and super().matches(record)


class Story:
    """Wants what happened to some tasks, or stems from a stimulus.

    That is their transitions, their runs, and transitions that recommend one for them.

    Parameters
    ----------
    *keys_or_stimuli : key of a task or stimulus_id
    within : RecordFilter, optional
        Records must match it too.
    """

    def __init__(
        self, *keys_or_stimuli: Key, within: RecordFilter | None = None
    ) -> None:
        self._names = frozenset(name_of(name) for name in keys_or_stimuli)
        self.within = within or Filter()
        self.needles = needles_of("task_key", self._names)

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        return (
            record["event_name"] in OF_TASKS
            and (
                record.get("stimulus_id") in self._names or touches(record, self._names)
            )
            and self.within.matches(record)
        )


def _texts(name: str, value: Any) -> frozenset[str]:
    items = value if isinstance(value, (list, set, frozenset)) else [value]
    kinds = (str, tuple, int, float, bytes) if name == "key" else (str,)
    if not items or not all(isinstance(item, kinds) for item in items):
        raise TypeError(f"{name} must be a text, or a list of texts; got {value!r}")
    return frozenset(name_of(item) for item in items)
