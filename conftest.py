"""Fixtures and order of imports for every test."""

from __future__ import annotations

# distributed.utils_test keeps a copy of the configuration as it is at its import, and
# restores it for each test: leandask's defaults must be in it.
import leandask  # isort: skip  # noqa: F401

import logging

# It does the same with the level of every logger.
logging.getLogger("leandask.events").setLevel(logging.INFO)

import distributed.utils_test  # noqa: E402, F401
