"""Where the checkout is: tests read its docs, and run what is in it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
