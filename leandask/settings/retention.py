"""Retention: how much of each history a scheduler keeps in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import dask.config
from distributed.config import defaults as upstream_defaults

from leandask.settings import config
from leandask.settings.budget import COSTS, as_budget, describe, divide, format_bound
from leandask.settings.rules import as_count, as_maxbytes, as_maxlen, smaller

if TYPE_CHECKING:
    from distributed import Scheduler


def _rule(name: str, schema: Mapping[str, Any]) -> Any:
    if name == "budget":
        rule: Any = as_budget
    else:
        rule = as_maxbytes if "string" in schema["type"] else as_maxlen
    return partial(rule, minimum=schema.get("minimum", 0))


def _field_of(name: str, schema: Mapping[str, Any]) -> tuple[str, str, Any]:
    """The field of a bound, for :func:`dataclasses.make_dataclass`."""
    field = dataclasses.field(
        default_factory=partial(config.configured, f"retention.{name}"),
        metadata={
            "name": name,
            "minimum": schema.get("minimum", 0),
            "upstream": schema.get("x-upstream", ()),
            "rule": _rule(name, schema),
        },
    )
    return _attribute(name), "int | None", field


def _attribute(name: Any) -> str:
    return str(name).replace("-", "_")


_Bounds: Any = dataclasses.make_dataclass(
    "_Bounds",
    [_field_of(name, schema) for name, schema in config.bounds_schema().items()],
    init=False,  # Retention has these methods
    repr=False,
    eq=False,
    frozen=True,
    kw_only=True,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retention(_Bounds):
    """The bounds of a scheduler's histories.

    Each key below ``leandask.retention`` is a parameter and an attribute, with
    underscores: ``transition_log``. A bound is a whole number: 0 keeps nothing, None is
    unbounded. What is omitted comes from the configuration.

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

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> int | None: ...

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            key = f"leandask.retention.{field.metadata['name']}"
            value = field.metadata["rule"](key, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, bounds: Retention | Mapping[str, Any] | None = None) -> Retention:
        """Make a Retention from a mapping, or return a Retention unchanged.

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
            If `bounds` or one of its values has the wrong type.
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
        return cls(**_by_attribute("retention", {} if bounds is None else bounds))

    def replaced(self, bounds: Mapping[str, Any]) -> Retention:
        """Return these bounds with some of them replaced.

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
            As for :meth:`of`.

        Examples
        --------
        >>> Retention(events=50).replaced({"transition-log": 10}).events
        50
        """
        return dataclasses.replace(self, **_by_attribute("retention", bounds))

    def halved(self) -> Retention:
        """Return these bounds with half as many entries, as far as a bound may go.

        That of locks stays: their names are in use, and an evicted one is closed.
        """
        halves = {
            field.name: max(getattr(self, field.name) // 2, field.metadata["minimum"])
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is not None
            and field.name not in ("budget", "locks")
        }
        return dataclasses.replace(self, **halves)

    def as_dict(self) -> dict[str, int | None]:
        """Return the bounds by name, as the configuration names them."""
        return {name: getattr(self, _attribute(name)) for name in _NAMES}

    def effective(self) -> Retention:
        """Return the bounds in force.

        With a budget each bound that has its default becomes its history's share of the
        budget. Any other bound stays if it is smaller than the share. The user's own
        setting for upstream wins where it is smaller still. Upstream's defaults do not
        count as such, and null there leaves the bound as it is.

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
            bound = smaller(bound, _upstream_setting(field.metadata["upstream"]))
            bounds[field.name] = bound if bound is None else max(bound, minimum)
        return dataclasses.replace(self, **bounds)

    def nbytes(self, name: str) -> int | None:
        """Return the bytes that the entries of a history may take; None is unbounded.

        With a budget these are its share, which long names use up: fewer entries fit in
        then. Without one as many bytes of long names may come on top of its entries; of
        spans and computations, seven times as many of further groups, names and code.

        Parameters
        ----------
        name : str
            As the configuration names it.

        Returns
        -------
        int or None

        Examples
        --------
        >>> Retention(topics=1000).nbytes("topics")
        1400000
        >>> Retention(topics=1000, budget="16 MiB").nbytes("topics")
        700000
        """
        bound = getattr(self, _attribute(name))
        if bound is None:
            return None
        nbytes: int = bound * COSTS[name].nbytes
        if self.budget is not None:
            return nbytes
        return nbytes * (8 if name in ("spans", "computations") else 2)

    def describe(self) -> str:
        """Return a table of the bounds: each with its size, and the sum.

        Returns
        -------
        str
        """
        return describe(self.as_dict())

    def __str__(self) -> str:
        return ", ".join(
            f"{n} {format_bound(n, bound)}" for n, bound in self.as_dict().items()
        )


def in_force(scheduler: Scheduler) -> Retention:
    """The bounds in force in a lean scheduler. Only its ``retention`` holds them."""
    retention: Retention = scheduler.retention  # type: ignore[attr-defined]
    return retention


#: The bounds by their names in the configuration, in its order.
_NAMES = tuple(config.bounds_schema())
_ATTRIBUTES = frozenset(map(_attribute, _NAMES))


def _by_attribute(key: str, bounds: Any) -> dict[str, Any]:
    _refuse_unknown(key, bounds)
    return {_attribute(name): bound for name, bound in bounds.items()}


def _refuse_unknown(key: str, bounds: Any) -> None:
    if not isinstance(bounds, Mapping):
        raise TypeError(f"{key} must be a mapping of bounds; got {bounds!r}")
    for name in bounds:
        if _attribute(name) not in _ATTRIBUTES:
            known = ", ".join(_NAMES)
            raise ValueError(f"{key} must have only keys among {known}; got {name!r}")


def _upstream_setting(keys: tuple[str, ...]) -> int | None:
    """The largest of the user's settings for upstream.

    None if all are upstream's defaults, or one is null.
    """
    values = [dask.config.get(key, None) for key in keys]
    shipped = [dask.config.get(k, None, upstream_defaults) for k in keys]
    if values == shipped or None in values:
        return None
    return max(as_count(key, value) for key, value in zip(keys, values, strict=True))
