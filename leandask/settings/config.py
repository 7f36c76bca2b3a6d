"""The settings of leandask: their defaults in :mod:`dask.config`, and their rules."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import dask.config
import yaml

from leandask.settings.logpath import as_log_path
from leandask.settings.memorylimit import as_limit
from leandask.settings.rules import (
    as_bytes,
    as_choice,
    as_count,
    as_flag,
    as_flag_or_auto,
    as_folder,
    as_level,
    as_maxbytes,
    as_maxlen,
    as_part,
    as_seconds,
)
from leandask.settings.run import as_archive, as_labels, as_name

logger = logging.getLogger("leandask")


def _load(name: str) -> dict[str, Any]:
    # Not with the C loader: its library takes 0.2 MB that nothing else uses.
    text = Path(__file__).with_name(name).read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


defaults = _load("leandask.yaml")
dask.config.update_defaults(defaults)


@cache
def bounds_schema() -> dict[str, dict[str, Any]]:
    """The schema of each bound below ``leandask.retention``, by its name."""
    schema = _load("leandask-schema.yaml")["properties"]["leandask"]
    bounds: dict[str, dict[str, Any]] = schema["properties"]["retention"]["properties"]
    for bound in bounds.values():
        del bound["description"]  # for readers only
    return bounds


class _Omitted:
    def __repr__(self) -> str:
        return "<from the configuration>"


#: Default of a parameter that comes from the configuration where it is omitted.
OMITTED: Any = _Omitted()


def read(key: str, value: Any = OMITTED) -> Any:
    """Return a setting, checked by its rule.

    Parameters
    ----------
    key : str
        Key below ``leandask.``, such as ``"stream.queue-length"``.
    value : object, optional
        Used in place of the configured value.

    Returns
    -------
    object
        Counts and sizes in bytes as ``int``, durations in seconds as ``float``.

    Raises
    ------
    TypeError, ValueError
        If the value breaks the rule.
    """
    if value is OMITTED:
        value = configured(key)
    return RULES[key](f"leandask.{key}", value)


def configured(key: str) -> Any:
    """Return the user's value of a key below ``leandask.``, or else its default."""
    full = f"leandask.{key}"
    return dask.config.get(full, default=dask.config.get(full, config=defaults))


def has_event_log() -> bool:
    """Whether records are written anywhere: to a file, to an archive or to both."""
    return bool(read("event-log.path") or read("event-log.archive"))


def check() -> None:
    """Raise for the first setting that breaks its rule."""
    for key in RULES:
        read(key)


def warn_of_unknown_keys() -> None:
    """Log a warning for each key below ``leandask`` that is not a setting.

    It is not an error: another release may have that setting.
    """
    for key in _unknown(dask.config.get("leandask", default={}), defaults["leandask"]):
        logger.warning("leandask.%s is not a setting", key)


def _unknown(given: Any, known: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the unknown keys, except below ``retention``, which has its own check."""
    for key, value in given.items() if isinstance(given, dict) else ():
        name = str(key).replace("_", "-")
        if name not in known:
            yield f"{prefix}{key}"
        elif isinstance(known[name], dict) and name != "retention":
            yield from _unknown(value, known[name], f"{prefix}{name}.")


#: The rule of every setting, except the bounds: theirs are in ``Retention``.
RULES: dict[str, Callable[[str, Any], Any]] = {
    "strict": as_flag,
    "dashboard": partial(as_choice, choices=("lazy", "eager", "off")),
    "tasks.lean": as_flag,
    "workers.log-level": as_level,
    "housekeeping.interval": partial(as_seconds, positive=True),
    "memory.allocator": partial(as_choice, choices=("python", "malloc")),
    "memory.limit": as_limit,
    "memory.warn": as_part,
    "memory.refuse": as_part,
    "give-back.tasks": partial(as_maxlen, minimum=1),
    "give-back.part": as_part,
    "give-back.interval": as_seconds,
    "stream.transitions": as_flag,
    "stream.tasks": as_flag_or_auto,
    "stream.sample-interval": as_seconds,
    "stream.propagate": as_flag_or_auto,
    "stream.fields": partial(as_choice, choices=("leandask", "ecs", "otel")),
    "stream.queue-length": partial(as_count, minimum=1),
    "stream.queue-bytes": as_bytes,
    "stream.record-bytes": partial(as_bytes, minimum=1024),
    "stream.overflow": partial(as_choice, choices=("drop", "block")),
    "stream.block-timeout": as_seconds,
    "stream.close-timeout": as_seconds,
    "event-log.path": as_log_path,
    "event-log.max-bytes": partial(as_maxbytes, minimum=1),
    "event-log.backups": as_count,
    "event-log.compress": as_flag,
    "event-log.compression": partial(
        as_choice, choices=("auto", "none", "gzip", "zstd")
    ),
    "event-log.flush-interval": as_seconds,
    "event-log.history": partial(as_choice, choices=("own", "all")),
    "event-log.archive": as_archive,
    "event-log.archive-interval": partial(as_seconds, positive=True),
    "event-log.archive-bytes": partial(as_bytes, minimum=64 * 1024),
    "event-log.archive-folder": as_folder,
    "event-log.archive-local-bytes": as_bytes,
    "run.name": as_name,
    "run.labels": as_labels,
}
