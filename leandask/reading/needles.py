"""Needles: what is in the line of every record that is wanted.

Most lines have none, and need not be decoded.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson


def needles_of(name: str, texts: Iterable[str]) -> tuple[bytes, ...]:
    """Return what a line of JSON must hold one of, to have one of some texts.

    Parameters
    ----------
    name : str
        The field that has them.
    texts : iterable of str

    Returns
    -------
    tuple of bytes
        Empty where one of the texts may be written in more than one way.

    Examples
    --------
    >>> needles_of("topic", ["all"]), needles_of("topic", ["all", "é"])
    ((b'"all"',), ())
    """
    texts = list(texts)
    if any(not (t.isascii() and t.isprintable()) or {*t} & {*'"\\'} for t in texts):
        return ()
    needles = [orjson.dumps(text) for text in texts]
    # In a payload, which is JSON in a string, its quotes are escaped.
    return tuple(n.strip(b'"') if name == "stimulus_id" else n for n in needles)
