from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True)
def no_garbage():
    """Leave no garbage of other tests: what is freed is room for a graph."""
    gc.collect()
