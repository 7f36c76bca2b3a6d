"""Inline: what a page may run and be styled by, as a policy names it."""

from __future__ import annotations

import base64
import hashlib
import re


def hash_of(page: str, tag: str) -> str:
    """Return the source of a Content-Security-Policy for what a page has inline.

    Parameters
    ----------
    page : str
    tag : str
        ``"script"`` or ``"style"``, as it stands in the page: without attributes.

    Returns
    -------
    str
        Empty where the page has no such tag.

    Examples
    --------
    >>> hash_of("<style></style>", "style")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    contents = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
