"""What stays of what is gone is measured."""

from __future__ import annotations

import pytest

from benchmarks.leftovers import measure


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_less_stays_of_a_key_in_a_lean_scheduler():
    upstream, ours = (measure(name, "keys", 300) for name in ("upstream", "leandask"))
    assert 2000 < upstream < 20_000
    assert ours < upstream / 2
