from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True)
def no_garbage():
    """Leave no garbage of other tests: what a scheduler frees is room for its graphs."""
    gc.collect()
