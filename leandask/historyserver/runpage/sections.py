"""Sections: a file of several JSON values, of which each can be read alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson


def sectioned(values: dict[str, Any]) -> bytes:
    """Return the content of a file: a line of the places of all values, and these."""
    parts = {
        # NaN and surrogates must not break a page that shows the rest.
        name: json.dumps(finite(value), ensure_ascii=True, allow_nan=False).encode()
        for name, value in values.items()
    }
    places, begin = {}, 0
    for name, part in parts.items():
        places[name] = [begin, len(part)]
        begin += len(part)
    return json.dumps(places).encode() + b"\n" + b"".join(parts.values())


def section(path: Path, name: str) -> Any:
    """Return one value of a file.

    Raises
    ------
    OSError, ValueError, KeyError
        If it is not there.
    """
    with path.open("rb") as file:
        places = orjson.loads(file.readline(2**16))
        begin, length = places[name]
        file.seek(begin, 1)
        return orjson.loads(file.read(length))


def finite(value: Any) -> Any:
    """Return a value with None for numbers that JSON does not have.

    Examples
    --------
    >>> finite({"a": [float("nan"), 1.5]})
    {'a': [None, 1.5]}
    """
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None
    return value
