"""Question: what a client asks of the past, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leandask.reading.filter import SLACK, Filter, Filters, ListFilter
from leandask.records.text import NAME_LENGTH, one_line
from leandask.records.times import rfc3339
from leandask.settings import config
from leandask.settings.rules import as_choice, as_count

if TYPE_CHECKING:
    from leandask.eventlog.eventlog import EventLog

#: Texts in one parameter of a filter, and characters of any other text in it. A line is
#: compared with each of them.
MAX_TEXTS, MAX_LENGTH = 1000, 1000
#: Names of the filters.
NAMES = frozenset(Filters.__annotations__)
#: Whose records a client may ask for.
SCHEDULERS = ("own", "all")


class Question:
    """The newest records that pass some filters, `limit` at most.

    Making one takes no longer for a large filter than for a small one: it is made on
    the event loop.

    Parameters
    ----------
    limit : int
    filters : dict
        As :meth:`Filter.as_dict` returns them.
    schedulers : str, optional
        ``"all"`` asks for the records of all schedulers that share the log.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not valid or too large, or a setting does not permit it. The
        texts themselves are checked by :meth:`filter`.
    """

    def __init__(
        self, limit: int, filters: Mapping[str, Any], schedulers: str = "own"
    ) -> None:
        self.limit = as_count("limit", limit, 1)
        check_sizes(filters)
        self.wants_all = as_choice("schedulers", schedulers, SCHEDULERS) == "all"
        if self.wants_all and (setting := config.read("event-log.history")) != "all":
            raise ValueError(
                "leandask.event-log.history must be 'all' for get_history to show the "
                f"records of other schedulers; got {setting!r}"
            )
        self._filters = filters
        #: Characters of the filters, approximately the bytes that they take.
        self.nbytes = sum(
            len(text) for value in filters.values() for text in _texts_of(value)
        )

    def filter(self, event_log: EventLog) -> Filter:
        """Return the filter that it makes of a log; not on the event loop."""
        # Comms turn lists into tuples, and a tuple would be a single key.
        given: dict[str, Any] = {
            name: [*value] if isinstance(value, tuple) else value
            for name, value in self._filters.items()
        }
        if self.wants_all:
            return ListFilter(**given)
        return OwnFilter(event_log, given)


class OwnFilter(ListFilter):
    """Wants the records of one scheduler that match all filters."""

    def __init__(self, event_log: EventLog, filters: Mapping[str, Any]) -> None:
        super().__init__(**filters)
        self._scheduler_id = event_log.scheduler_id
        # What is older is of others: the search ends there.
        self.horizon = max(self.horizon, rfc3339(event_log.earliest() - SLACK))

    def matches(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        return record["scheduler_id"] == self._scheduler_id and super().matches(record)


def _texts_of(value: Any) -> list[str]:
    texts = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(text, (str, int, float)) for text in texts):
        raise TypeError("Each filter must be a text, or a list of texts")
    return [text for text in texts if isinstance(text, str)]


def check_sizes(filters: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError for filters that are unknown or too large.

    Examples
    --------
    >>> check_sizes({"topic": ["x"] * 100_000})
    Traceback (most recent call last):
        ...
    ValueError: topic must be a text, or a list of at most 1000 texts; got 100000 texts
    """
    if not isinstance(filters, Mapping) or not filters.keys() <= NAMES:
        got = [*filters] if isinstance(filters, Mapping) else filters
        raise TypeError(
            f"filters must be of {', '.join(sorted(NAMES))}; "
            f"got {one_line(repr(got), NAME_LENGTH)}"
        )
    for name, value in filters.items():
        if isinstance(value, (list, tuple, set, frozenset)):
            if len(value) > MAX_TEXTS:
                raise ValueError(
                    f"{name} must be a text, or a list of at most {MAX_TEXTS} texts; "
                    f"got {len(value)} texts"
                )
        elif isinstance(value, str) and len(value) > MAX_LENGTH:
            raise ValueError(
                f"{name} must be a text of at most {MAX_LENGTH} characters; "
                f"got {len(value)} characters"
            )
