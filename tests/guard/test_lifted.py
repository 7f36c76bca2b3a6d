"""The limit is lifted while something is done about it: all goes on."""

from __future__ import annotations

import dask.array as da
import pytest
from distributed.utils_test import gen_test, inc

from leandask.guard.cost import TaskCost
from leandask.guard.sieve import Sieve
from leandask.housekeeping.giveback import GiveBack
from tests.helpers.guards import error_of, guard_of, leave_room
from tests.helpers.schedulers import lean, lean_cluster

# A thread may be interrupted where Python raises nothing, and then is again.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")


@gen_test(timeout=60)
async def test_a_message_that_does_not_fit_is_answered(monkeypatch):
    async def lift_and_sift(sieve):
        guard_of(s).set({"limit": None})
        return await sift(sieve)

    sift = Sieve.sift
    monkeypatch.setattr(Sieve, "sift", lift_and_sift)
    async with lean_cluster() as (s, c):
        first = c.submit(inc, 1)
        await first
        guard_of(s).set({"limit": "1 MiB", "refuse": 0.5})
        futures = c.map(inc, range(10, 30_010))
        text = await error_of(futures[-1])
        assert "it had room for 0 B below 50% of its limit of 1.00 MiB" in text
        assert first.status == "finished"
        assert await c.submit(inc, 2) == 3


@gen_test(timeout=60)
async def test_a_graph_that_was_refused_is_answered(monkeypatch):
    async def tidy_and_lift(give_back):
        await tidy(give_back)
        guard_of(s).set({"limit": None})

    tidy = GiveBack.tidy
    monkeypatch.setattr(GiveBack, "tidy", tidy_and_lift)
    # What the tests before have left free in this process is room, too.
    monkeypatch.setattr(TaskCost, "free", lambda self, rss: 0.0)
    async with lean_cluster() as (s, c):
        first = c.submit(inc, 1)
        await first
        leave_room(s, 10)  # its tasks take 15, whatever reading it takes
        total = da.ones(20_000, chunks=1).sum()
        text = await error_of(c.compute(total, optimize_graph=False))
        assert "below 90% of its limit of " in text
        assert first.status == "finished"


@gen_test()
async def test_pressure_is_not_recorded_any_more(caplog):
    async with lean() as s:
        guard = guard_of(s)
        guard.set({"limit": "1 MiB"})
        guard.look()
        guard.set({"limit": None})
        await guard._warning
        assert "The guard of the memory failed" not in caplog.text
