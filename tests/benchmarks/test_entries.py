"""What is reported of the histories is what they take."""

from __future__ import annotations

import pytest

from benchmarks.entries import FEWEST, measure


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_histories_take_what_is_reported():
    measured = {n: sizes for n, (count, *sizes) in measure().items() if count >= FEWEST}
    assert {"task-stream", "spans", "locks"} < measured.keys()
    nbytes, reported = map(sum, zip(*measured.values(), strict=True))
    assert 0.7 * reported < nbytes < 1.1 * reported
    # Entries share texts: a text goes with the last history that has it.
    assert all(size < 1.5 * told + 10_000 for size, told in measured.values()), measured
