"""Content-Security-Policy: the source that allows a page's inline script or style."""

from __future__ import annotations

import base64
import hashlib


def hash_of(content: str) -> str:
    """Return the policy's source for what is between two tags.

    Examples
    --------
    >>> hash_of("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
