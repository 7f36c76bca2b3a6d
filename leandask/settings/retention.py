"""Retention: how much of each history a scheduler keeps in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import dask.config
from distributed.config import defaults as upstream_defaults

from leandask.settings import config
from leandask.settings.budget import MINIMUM, as_budget, describe, divide, show
from leandask.settings.rules import as_count, as_maxbytes, as_maxlen, smaller

_LOW_LEVEL = ("distributed.admin.low-level-log-length",)


def _bound(
    name: str,
    minimum: int = 0,
    upstream: tuple[str, ...] = (),
    rule: Callable[..., int | None] = as_maxlen,
) -> Any:
    return dataclasses.field(
        default_factory=lambda: config.configured(f"retention.{name}"),
        metadata={
            "name": name,
            "minimum": minimum,
            "upstream": upstream,
            "rule": partial(rule, minimum=minimum),
        },
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retention:
    """The bounds of a scheduler's histories.

    A bound is a whole number: 0 keeps nothing, None is unbounded. What is omitted comes
    from the configuration, key by key below ``leandask.retention``.

    Raises
    ------
    TypeError
        If a bound is neither a whole number nor None.
    ValueError
        If a bound is below its minimum.

    See Also
    --------
    LeanScheduler.retention : the bounds in force.

    Examples
    --------
    >>> Retention(events=50).events
    50
    >>> Retention(events=True)
    Traceback (most recent call last):
        ...
    TypeError: leandask.retention.events must be a whole number of at least 0, or null \
for unbounded; got True
    """

    #: Transitions. At least 1: dask-gateway reads the last one as the last activity.
    transition_log: int | None = _bound("transition-log", 1, _LOW_LEVEL)
    #: Events per topic.
    events: int | None = _bound("events", 0, _LOW_LEVEL)
    #: Topics. At least 1: the one that is being published under.
    topics: int | None = _bound("topics", 1)
    #: Sent batches per worker or client connection.
    messages: int | None = _bound("messages", 0, _LOW_LEVEL)
    #: Log lines for ``get_logs``.
    log_records: int | None = _bound(
        "log-records", 0, ("distributed.admin.log-length",)
    )
    #: Computations.
    computations: int | None = _bound(
        "computations", 0, ("distributed.diagnostics.computations.max-history",)
    )
    #: Erred tasks.
    erred_tasks: int | None = _bound(
        "erred-tasks", 0, ("distributed.diagnostics.erred-tasks.max-history",)
    )
    #: Characters of each exception and of each traceback in the erred tasks.
    error_length: int | None = _bound(
        "error-length", 0, ("distributed.admin.max-error-length",)
    )
    #: Tasks in the task stream. Upstream takes the larger of its two settings.
    task_stream: int | None = _bound(
        "task-stream",
        0,
        (
            "distributed.scheduler.dashboard.status.task-stream-length",
            "distributed.scheduler.dashboard.tasks.task-stream-length",
        ),
    )

    #: Bytes of the events of all topics, about.
    event_bytes: int | None = _bound("event-bytes", rule=as_maxbytes)
    #: Finished spans.
    spans: int | None = _bound("spans")
    #: Task prefixes without tasks. What is known of their durations goes with them.
    task_prefixes: int | None = _bound("task-prefixes")
    #: Keys in the cache of :func:`dask.utils.key_split`.
    key_cache: int | None = _bound("key-cache")
    #: Samples of the system monitor, of each quantity. One each half second.
    samples: int | None = _bound(
        "samples", 1, ("distributed.admin.system-monitor.log-length",)
    )
    #: Stacks of the event loop, one each second.
    profile: int | None = _bound("profile", 0, _LOW_LEVEL)
    #: Workers and clients that left, whose topics stay until the clean-up delay.
    departed: int | None = _bound("departed")
    #: Locks and semaphores that nobody holds or waits for.
    locks: int | None = _bound("locks", 1000)
    #: Bytes of all histories together, about, in place of the defaults of the others.
    #: ``"auto"`` becomes a share of the memory limit, None no budget.
    budget: int | None = _bound("budget", MINIMUM, rule=as_budget)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            key = f"leandask.retention.{field.metadata['name']}"
            value = field.metadata["rule"](key, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, bounds: Retention | Mapping[str, Any] | None = None) -> Retention:
        """Make a retention from what a user may give.

        Parameters
        ----------
        bounds : Retention, mapping or None, optional
            A mapping names its bounds as the configuration does (``transition-log``) or
            as Python does (``transition_log``). What it omits comes from the
            configuration.

        Returns
        -------
        Retention

        Raises
        ------
        TypeError
            If `bounds` or one of its values is of another type.
        ValueError
            If a bound is unknown, or below its minimum.

        Examples
        --------
        >>> Retention.of({"transition-log": 10}).transition_log
        10
        """
        if isinstance(bounds, Retention):
            return bounds
        _refuse_unknown("leandask.retention", config.configured("retention"))
        return cls(**_by_field("retention", {} if bounds is None else bounds))

    def replaced(self, bounds: Mapping[str, Any]) -> Retention:
        """Return these bounds with some others in their places.

        Parameters
        ----------
        bounds : mapping
            As for :meth:`of`.

        Returns
        -------
        Retention

        Raises
        ------
        TypeError, ValueError
            As of :meth:`of`.

        Examples
        --------
        >>> Retention(events=50).replaced({"transition-log": 10}).events
        50
        """
        return dataclasses.replace(self, **_by_field("retention", bounds))

    def as_dict(self) -> dict[str, int | None]:
        """Return the bounds by name, as the configuration has them."""
        return {name: getattr(self, field) for field, name in _NAMES.items()}

    def effective(self) -> Retention:
        """Return the bounds in force.

        With a budget each bound that has its default becomes the history's share of it,
        and any other stays if it is smaller than that. Where the user's own upstream
        setting is smaller still, it wins: only what differs from upstream's defaults
        counts, and a null there leaves the bound as it is.

        Returns
        -------
        Retention
        """
        shares = {} if self.budget is None else divide(self.budget)
        bounds = {}
        for field in dataclasses.fields(self):
            name, minimum = field.metadata["name"], field.metadata["minimum"]
            bound = getattr(self, field.name)
            if name in shares:
                default = config.defaults["leandask"]["retention"][name]
                is_default = bound == field.metadata["rule"](name, default)
                bound = shares[name] if is_default else smaller(bound, shares[name])
            bound = smaller(bound, _users_own(field.metadata["upstream"]))
            bounds[field.name] = bound if bound is None else max(bound, minimum)
        return dataclasses.replace(self, **bounds)

    def describe(self) -> str:
        """Show every bound, what an entry costs, and what it comes to, as a table.

        Returns
        -------
        str
        """
        return describe(self.as_dict())

    def __str__(self) -> str:
        return ", ".join(f"{n} {show(n, bound)}" for n, bound in self.as_dict().items())


#: Kebab-case names of the bounds by field name, in order.
_NAMES: dict[str, str] = {
    field.name: field.metadata["name"] for field in dataclasses.fields(Retention)
}


def _field_name(key: Any) -> str:
    return str(key).replace("-", "_")


def _by_field(key: str, bounds: Any) -> dict[str, Any]:
    _refuse_unknown(key, bounds)
    return {_field_name(name): bound for name, bound in bounds.items()}


def _refuse_unknown(key: str, bounds: Any) -> None:
    if not isinstance(bounds, Mapping):
        raise TypeError(f"{key} must be a mapping of bounds; got {bounds!r}")
    for name in bounds:
        if _field_name(name) not in _NAMES:
            known = ", ".join(_NAMES.values())
            raise ValueError(f"{key} must have keys out of {known}; got {name!r}")


def _users_own(keys: tuple[str, ...]) -> int | None:
    """The largest of upstream's settings, or None where all are upstream's defaults."""
    values = [dask.config.get(key, None) for key in keys]
    shipped = [dask.config.get(k, None, upstream_defaults) for k in keys]
    if values == shipped or None in values:
        return None
    return max(as_count(key, value) for key, value in zip(keys, values, strict=True))
