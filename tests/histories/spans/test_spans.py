from __future__ import annotations

import asyncio

import dask.config
import pytest
from distributed import Client, Scheduler, Worker, span
from distributed.metrics import time
from distributed.spans import SpansSchedulerExtension
from distributed.utils_test import gen_test, inc

from leandask import install
from leandask.histories.spans.groups import GROUPS_KEPT, fold_dead_groups
from leandask.histories.spans.nthreads import trim_nthreads_history
from leandask.histories.spans.spans import GRAPHS_PER_PRUNE, LeanSpans
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, run_housekeeping


async def compute(s, c, i):
    await c.submit(inc, i, key=f"inc-{i:032x}")
    while s.tasks:
        await asyncio.sleep(0.001)


@gen_test()
async def test_the_oldest_finished_spans_are_evicted():
    async with (
        lean(retention={"spans": 5}) as s,
        Worker(s.address, dashboard=False) as w,
        Client(s.address, asynchronous=True) as c,
    ):
        spans = s.extensions["spans"]
        for i in range(3 * GRAPHS_PER_PRUNE):
            await compute(s, c, i)
        spans.prune()
        assert len(spans.root_spans) == len(spans.spans) == 5
        assert spans.spans_search_by_name["default",] == spans.root_spans
        assert spans.spans_search_by_tag["default"] == spans.root_spans
        assert spans.evicted == 3 * GRAPHS_PER_PRUNE - 5
        assert repr(spans) == "<LeanSpans: 5 spans, 5 kept>"
        assert spans.merge_all().states["forgotten"] == 5
        assert spans.merge_all().cumulative_worker_metrics
        # What the worker measured for evicted spans must not close it.
        await w.heartbeat()
        assert w.address in s.workers


@gen_test()
async def test_finished_spans_are_bounded_without_housekeeping():
    async with lean_cluster(retention={"spans": 5}) as (s, c):
        for i in range(4 * GRAPHS_PER_PRUNE):
            await compute(s, c, i)
            assert len(s.extensions["spans"].spans) <= 5 + GRAPHS_PER_PRUNE + 1


@gen_test()
async def test_a_span_with_tasks_stays_and_is_found_again():
    async with (
        lean(retention={"spans": 0}) as s,
        Worker(s.address, dashboard=False) as w,
        Client(s.address, asynchronous=True) as c,
    ):
        spans = s.extensions["spans"]
        with span("held") as held:
            future = c.submit(inc, 1, key="held-1")
        await future
        for i in range(2 * GRAPHS_PER_PRUNE):
            await compute_another(s, c, i)
        spans.prune()
        assert spans.spans[held].states["memory"] == 1
        assert [sp.id for sp in spans.find_by_tags("held")] == [held]
        await w.heartbeat()
        assert spans.spans[held].cumulative_worker_metrics
        with span("held"):
            again = c.submit(inc, 2, key="held-2")
        await again
        await c.gather([future, again])
        del future, again
        while s.tasks:
            await asyncio.sleep(0.001)
        spans.prune()
        assert not spans.spans
        assert not spans.root_spans


async def compute_another(s, c, i):
    await c.submit(inc, i, key=f"another-{i:032x}")
    while len(s.tasks) > 1:
        await asyncio.sleep(0.001)


@gen_test()
async def test_finished_child_spans_of_a_live_span_are_evicted():
    async with lean_cluster(retention={"spans": 3}) as (s, c):
        spans = s.extensions["spans"]
        with span("service") as service:
            kept = c.submit(inc, 1, key="kept-1")
            await kept
            for i in range(20):
                with span("request"):
                    await compute_another(s, c, i)
        spans.prune()
        root = spans.spans[service]
        assert len(root.children) == 3
        assert {sp.id for sp in root.traverse_spans()} == set(spans.spans)
        assert len(spans.spans_search_by_tag["request"]) == 3


@gen_test()
async def test_a_span_below_another_is_weighed_once():
    async with lean_cluster() as (s, c):
        spans = s.extensions["spans"]
        with span("x" * 1000), span("y" * 1000):
            await compute(s, c, 1)
        spans.prune()
        # The name of the inner one has both tags.
        assert 2700 < (weight := spans.weight) < 4000
        spans.prune()
        assert spans.weight == weight
        spans.resize(0, None, None)
        assert spans.weight == 0


@gen_test()
async def test_groups_of_a_scheduler_that_is_never_idle_are_bounded_and_sums_stay():
    async with lean_cluster() as (s, c):
        held = c.submit(asyncio.sleep, 3600, key="held-1")
        for i in range(100):
            key = (f"x{i:x}-{i:032x}", 0)
            await c.submit(inc, i, key=key)
        while len(s.tasks) > 1:
            await asyncio.sleep(0.001)
        spans = s.extensions["spans"]
        [root] = spans.root_spans
        before = (root.states, root.nbytes_total, root.start)
        duration = root.duration
        assert len(root.groups) <= 2 + GROUPS_KEPT + GRAPHS_PER_PRUNE
        spans.prune()
        assert len(root.groups) == 1 + GROUPS_KEPT + 1
        after = (root.states, root.nbytes_total, root.start)
        assert after == before
        assert root.duration == pytest.approx(duration)
        assert root.states["forgotten"] == 100
        [computation] = s.computations
        assert len(computation.groups) == 1 + GROUPS_KEPT + 1
        assert computation.states["forgotten"] == 100
        # What a client reports of each graph is bounded too.
        assert len(root.metadata["collections"]) <= 100
        held.release()


@gen_test()
async def test_code_of_a_scheduler_that_is_never_idle_is_bounded():
    with dask.config.set({"distributed.diagnostics.computations.nframes": 1}):
        async with lean_cluster(retention={"spans": 2}) as (s, c):
            held = c.submit(asyncio.sleep, 3600, key="held-1")
            await c.submit(inc, 1, key="inc-1")
            await c.submit(inc, 2, key="inc-2")
            await c.submit(inc, 3, key="inc-3")
            [computation] = s.computations
            before = set(computation.code)
            assert len(before) == 4
            s.extensions["spans"].prune()
            assert len(computation.code) == 2
            assert before.issuperset(computation.code)
            assert "inc-3" in computation._repr_html_()
            held.release()


@gen_test()
async def test_install_keeps_spans_and_unbounded_keeps_all():
    async with (
        Scheduler(**LOCAL) as s,
        Worker(s.address, dashboard=False),
        Client(s.address, asynchronous=True) as c,
    ):
        for i in range(20):
            await compute(s, c, i)
        before = set(s.extensions["spans"].spans)
        install(s, {"spans": None})
        spans = s.extensions["spans"]
        assert isinstance(spans, LeanSpans)
        for i in range(20, 60):
            await compute(s, c, i)
        assert before < set(spans.spans)
        assert len(spans.spans) == 60


class OnTimeWorker(Worker):
    """A worker that never corrects its clock, which is the scheduler's.

    On a busy machine the correction may exceed a task's time. Upstream then gives its
    span no time at all.
    """

    scheduler_delay = property(lambda self: 0.0, lambda self, delay: None)


@gen_test()
async def test_the_history_of_threads_is_shortened_and_intervals_stay():
    async with (
        lean(retention={"spans": 2}) as s,
        OnTimeWorker(s.address, dashboard=False, nthreads=2),
        Client(s.address, asynchronous=True) as c,
    ):
        spans = s.extensions["spans"]
        for i in range(6):
            async with OnTimeWorker(s.address, dashboard=False, nthreads=1):
                await compute(s, c, i)
            while len(s.workers) > 1:
                await asyncio.sleep(0.01)
        intervals = {sp.id: sp.nthreads_intervals for sp in spans.root_spans}
        length = len(s.total_nthreads_history)
        await run_housekeeping(s)
        assert len(s.total_nthreads_history) < length
        assert len(spans.spans) == 2
        for sp in spans.root_spans:
            assert sp.nthreads_intervals == intervals[sp.id]
            assert sp.nthreads_intervals[0][2] == 3
        assert spans.merge_all().active_cpu_seconds > 0


@gen_test()
async def test_the_history_of_threads_is_bounded_also_for_running_spans():
    async with (
        lean() as s,
        Worker(s.address, dashboard=False, nthreads=2),
        Client(s.address, asynchronous=True) as c,
    ):
        await compute(s, c, 1)
        spans = s.extensions["spans"].spans.values()
        s.total_nthreads_history.extend((float(i), 1) for i in range(2**40, 2**40 + 50))
        trim_nthreads_history(s, spans, maxlen=10)
        assert len(s.total_nthreads_history) == 10
        s.total_nthreads_history[0] = (0.0, 2)
        [sp] = spans
        assert all(n == 2 for _, _, n in sp.nthreads_intervals)


@gen_test()
async def test_folding_nothing_changes_nothing():
    async with lean() as s:
        groups = set()
        fold_dead_groups(groups, s)
        assert groups == set()


@gen_test()
async def test_an_extension_of_the_users_own_stays():
    class Mine(SpansSchedulerExtension):
        pass

    extensions = {"spans": Mine}
    async with lean(extensions=extensions) as s:
        assert type(s.extensions["spans"]) is Mine
        await run_housekeeping(s)
        assert s.extensions["leandask"].housekeeping.errors == 0


@gen_test()
async def test_a_finished_span_counts_no_threads_for_forgotten_changes():
    async with (
        lean() as s,
        Worker(s.address, dashboard=False, nthreads=2),
        Client(s.address, asynchronous=True) as c,
    ):
        await compute(s, c, 0)
        spans = s.extensions["spans"]
        (finished,) = spans.root_spans
        later = time() + 3600
        s.total_nthreads_history.extend((later + i, 1) for i in range(50))
        for _ in range(2):
            trim_nthreads_history(s, spans.spans.values(), maxlen=10)
            assert len(s.total_nthreads_history) == 10
            assert finished.nthreads_intervals[0][2] == 0
            assert finished.active_cpu_seconds == 0
            assert spans.merge_all().cumulative_worker_metrics
            s.total_nthreads_history.extend((later + i, 1) for i in range(50, 60))


@pytest.mark.filterwarnings("ignore:the convert_dtype parameter")
@gen_test()
async def test_the_page_of_a_forgotten_tag_still_updates():
    components = pytest.importorskip("distributed.dashboard.components.scheduler")
    async with (
        lean(retention={"spans": 2}) as s,
        Worker(s.address, dashboard=False),
        Client(s.address, asynchronous=True) as c,
    ):
        spans = s.extensions["spans"]
        with span("mine"):
            await compute(s, c, 0)
        page = components.FinePerformanceMetrics(s)
        page.span_tag_selector.value = ["mine"]
        page.unit_selector.value = "seconds"
        page.update()
        for i in range(1, 5):
            await compute(s, c, i)
        spans.prune()
        assert "mine" not in spans.spans_search_by_tag
        page.update()
        (metric,) = spans.merge_by_tags("mine").cumulative_worker_metrics.values()
        assert metric == 0
        with pytest.raises(ValueError, match="Nothing to merge"):
            spans.merge_by_tags("never")
        with span("mine"):
            await compute(s, c, 9)
        assert spans.merge_by_tags("mine").states["forgotten"] == 1
