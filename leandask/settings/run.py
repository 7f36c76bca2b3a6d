"""A run: the name and the labels of a scheduler, and the URL of its archive."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from leandask.settings.rules import is_url

#: Characters of a name, and of a label's name and value; and the number of labels.
LONGEST, MOST_LABELS = 200, 50


def as_name(key: str, value: Any) -> str | None:
    """Return a text of 200 characters at most, or None.

    Examples
    --------
    >>> as_name("leandask.run.name", "nightly")
    'nightly'
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a text, or null; got {value!r}")
    if len(value) > LONGEST:
        raise ValueError(
            f"{key} must be a text of at most {LONGEST} characters; got {value!r}"
        )
    return value


def as_labels(key: str, value: Any) -> dict[str, str]:
    """Return labels by their names, from a mapping or a text such as ``"k=v,k=v"``.

    Examples
    --------
    >>> as_labels("leandask.run.labels", "team=a,env=prod")
    {'team': 'a', 'env': 'prod'}
    >>> as_labels("leandask.run.labels", {"build": 7})
    {'build': '7'}
    >>> as_labels("leandask.run.labels", "team")
    Traceback (most recent call last):
        ...
    ValueError: leandask.run.labels must be a mapping of names to texts, or a text \
such as 'team=a,env=prod'; got 'team'
    """
    error = (
        f"{key} must be a mapping of names to texts, or a text such as "
        f"'team=a,env=prod'; got {value!r}"
    )
    if value is None:
        return {}
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(equals and name.strip() for name, equals, _ in pairs):
            raise ValueError(error)
        labels = {name.strip(): text.strip() for name, _, text in pairs}
    elif isinstance(value, Mapping):
        if not all(
            isinstance(name, str) and isinstance(text, (str, int, float))
            for name, text in value.items()
        ):
            raise TypeError(error)
        labels = {name: str(text) for name, text in value.items()}
    else:
        raise TypeError(error)
    texts = [*labels, *labels.values()]
    if len(labels) > MOST_LABELS or any(len(text) > LONGEST for text in texts):
        raise ValueError(
            f"{key} must be at most {MOST_LABELS} labels, with at most {LONGEST} "
            f"characters in a name or a value; got {value!r}"
        )
    return labels


def as_archive(key: str, value: Any) -> str | None:
    """Return the URL of a folder in a bucket, without a slash at its end, or None.

    Examples
    --------
    >>> as_archive("leandask.event-log.archive", "s3://bucket/dask/")
    's3://bucket/dask'
    >>> as_archive("leandask.event-log.archive", "/logs")
    Traceback (most recent call last):
        ...
    ValueError: leandask.event-log.archive must be a URL of a folder, such as \
s3://bucket/prefix; got '/logs'
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{key} must be a URL, or null; got {value!r}")
    url = os.path.expandvars(value).rstrip("/")
    if not (is_url(url) and re.search(r":/+[^/]", url)):
        rule = "a URL of a folder, such as s3://bucket/prefix"
    elif "{" in url or "}" in url:
        rule = "a URL without placeholders: each scheduler has its own folder below it"
    elif re.search(r"\$(\w+|\{\w+\})", url):
        rule = "a URL whose environment variables are set"
    elif "\0" in url:
        rule = "a URL without NUL"
    else:
        return url
    raise ValueError(f"{key} must be {rule}; got {value!r}")
