"""Content-Security-Policy: the sources that allow a page's inline script and style."""

from __future__ import annotations

import base64
import hashlib
import re


def hash_of(page: str, tag: str) -> str:
    """Return the policy's source for the contents of ``<script>`` or ``<style>`` tags.

    Tags with attributes do not count. The result is empty where there is no such tag.

    Examples
    --------
    >>> hash_of("<style></style>", "style")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    contents = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = [hashlib.sha256(content.encode()).digest() for content in contents]
    return " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
