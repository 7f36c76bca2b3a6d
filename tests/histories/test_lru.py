from __future__ import annotations

import gc
import pickle
import sys
import tracemalloc
from functools import lru_cache

import dask.utils
import pytest
from distributed import profile
from distributed import scheduler as upstream
from distributed.comm import resolve_address
from distributed.diagnostics import task_stream
from distributed.metrics import time
from distributed.scheduler import TaskGroup, TaskPrefix
from distributed.utils_test import gen_test

from leandask import _compat
from leandask.histories.lru import (
    LRU,
    SCAN,
    clear_key_caches,
    install_key_caches,
    look_at_key_caches,
    resize_key_caches,
)
from leandask.settings.budget import COSTS
from tests.helpers.schedulers import lean, run_housekeeping


class HeldEntries(LRU):
    def __init__(self, maxlen):
        super().__init__(maxlen=maxlen)
        self.held = set()

    def is_idle(self, key, value):
        return key not in self.held


def test_the_least_recently_used_is_evicted_first():
    lru = LRU([("a", 1), ("b", 2)], maxlen=2)
    lru["a"] = 3
    lru["c"] = 4
    assert dict(lru) == {"a": 3, "c": 4}
    assert repr(lru) == "<LRU: 2/2, 3 seen>"


def test_without_a_bound_all_stay():
    lru = LRU(maxlen=None)
    lru.update((i, i) for i in range(1000))
    assert len(lru) == 1000


def test_held_entries_stay_beyond_the_bound_until_they_are_idle():
    lru = HeldEntries(maxlen=10)
    lru.held = set(range(100))
    for i in range(100):
        lru[i] = i
    assert len(lru) == 100
    lru.held = set()
    for i in range(100, 107):
        lru[i] = i
    assert len(lru) == 10
    assert 106 in lru


def test_what_became_idle_beyond_the_bound_is_evicted_without_a_new_entry():
    lru = HeldEntries(maxlen=10)
    lru.held = set(range(100))
    for i in range(100):
        lru[i] = i
    lru.held = {0, 1, 2}
    lru.evict_surplus(50)
    assert 50 <= len(lru) <= 53
    lru.evict_surplus(50)
    assert len(lru) == 10
    assert lru.held < lru.keys()
    lru.evict_surplus(50)
    assert len(lru) == 10


@pytest.mark.parametrize("kind", ["task-prefixes", "topics", "locks"])
@gen_test()
async def test_housekeeping_evicts_names_that_were_all_in_use(kind):
    names = [f"{i}-{'x' * 100_000}" for i in range(30)]
    async with lean(retention={"budget": "4 MiB"}) as s:
        semaphores = s.extensions["semaphores"]
        if kind == "task-prefixes":
            # A group of tasks keeps its prefix.
            groups = [TaskGroup(n, TaskPrefix(n)) for n in names]
            for group in groups:
                s.task_prefixes[group.prefix.name] = group.prefix
        elif kind == "topics":
            for name in names:
                s.subscribe_topic(name[:2000], "client-1")
            s._broker.topics.maxlen = 10
        else:
            for name in names:
                semaphores.create(name, 1, 30)
                semaphores.leases[name]["lease"] = time()
        kept = {
            "task-prefixes": s.task_prefixes,
            "topics": s._broker.topics,
            "locks": semaphores.max_leases,
        }[kind]
        await run_housekeeping(s)
        assert len(kept) >= 30
        if kind == "task-prefixes":
            for group in groups:
                group.prefix.remove_group(group)
        elif kind == "topics":
            for topic in kept.values():
                topic.subscribers = frozenset()
        else:
            for name in names:
                semaphores.release(name, "lease")
        await run_housekeeping(s)
        # Locks, of which there are 1000 at least, are bounded by their long names.
        most = 1000 * COSTS["locks"].nbytes // 100_000 if kind == "locks" else 10
        assert 0 < len(kept) <= most + 1


def test_the_newest_stays_where_all_others_are_held():
    lru = HeldEntries(maxlen=SCAN)
    lru.held = set(range(SCAN))
    for i in range(SCAN):
        lru[i] = i
    lru["new"] = 1
    assert "new" in lru


def test_it_is_pickled_as_a_dict():
    assert type(pickle.loads(pickle.dumps(LRU([("a", 1)])))) is dict


@pytest.fixture
def caches(key_caches):
    """Upstream's own caches, empty at the end."""
    resize_key_caches(None)
    yield
    clear_key_caches(0)
    _compat.HOSTS.cache_clear()


def test_the_smaller_bound_holds_and_answers_stay(caches):
    install_key_caches(100)
    install_key_caches(1000)
    install_key_caches(None)
    for i in range(1000):
        assert upstream.key_split(f"inc-{i:032x}") == "inc"
    assert upstream.key_split.cache_info().currsize == 100
    assert upstream.key_split(("x-1", 0)) == dask.utils.key_split(("x-1", 0))


def test_an_unbounded_key_cache_stays_upstreams(caches):
    install_key_caches(None)
    assert upstream.key_split is dask.utils.key_split


def test_keys_that_the_dashboard_shows_are_kept_up_to_the_same_bound(caches):
    pytest.importorskip("bokeh")
    from distributed.dashboard.components import scheduler as pages

    assert pages.url_escape.cache_parameters()["maxsize"] is None  # upstream's
    install_key_caches(100)
    for i in range(1000):
        assert pages.url_escape(f"('inc-{i}', 0)") == f"%28%27inc-{i}%27%2C+0%29"
    assert pages.url_escape.cache_info().currsize == 100
    resize_key_caches(None)
    assert pages.url_escape is _compat.KEY_CACHES["url_escape"]


def test_colors_of_functions_are_kept_up_to_the_same_bound(caches):
    pytest.importorskip("bokeh")
    from distributed.dashboard.components import scheduler as pages

    wanted = pages.color_of("inc")
    install_key_caches(100)
    for i in range(1000):
        assert pages.color_of(f"f{i}") == pages.ts_color_of(f"f{i}")
    assert pages.color_of("inc") == wanted
    info = pages.color_of.cache_info()
    assert (info.currsize, info.hits) == (100, 1000)
    assert profile.color_of is task_stream.color_of is pages.color_of


def test_addresses_of_hosts_are_kept_up_to_a_bound_and_never_emptied(caches):
    install_key_caches(0)
    before = _compat.HOSTS.cache_info().misses
    for i in range(11_000):
        address = f"tcp://127.9.{i // 250}.{i % 250}:80"
        assert resolve_address(address) == address
    clear_key_caches(0)
    info = _compat.HOSTS.cache_info()
    assert (info.currsize, info.misses - before) == (10_000, 11_000)
    assert resolve_address(address) == address
    assert _compat.HOSTS.cache_info().hits == info.hits + 1


def test_ours_are_emptied_beyond_the_bound_and_upstreams_always(caches):
    install_key_caches(100)
    for i in range(50):
        dask.utils.key_split(f"x-{i}")
        upstream.key_split(f"x-{i}")
    clear_key_caches(None)
    assert dask.utils.key_split.cache_info().currsize == 50
    clear_key_caches(50)
    assert dask.utils.key_split.cache_info().currsize == 0
    assert upstream.key_split.cache_info().currsize == 50
    clear_key_caches(49)
    assert upstream.key_split.cache_info().currsize == 0


def test_long_keys_are_not_cached(caches):
    pytest.importorskip("bokeh")
    from distributed.dashboard.components import scheduler as pages

    install_key_caches(100)
    before = dask.utils.key_split.cache_info().currsize
    long = "inc-" + "0" * 100_000
    for key in (long, (long, 1), ((long, 1), 2), (("inc-1", 1), 2)):
        assert upstream.key_split(key) == "inc"
    assert upstream.key_split.cache_info().currsize == 3  # "inc-1", in two tuples
    assert dask.utils.key_split.cache_info().currsize == before
    assert pages.url_escape("%" * 1000) == "%25" * 1000
    assert pages.color_of("x" * 1000) == pages.color_of.__wrapped__("x" * 1000)
    assert pages.url_escape.cache_info().currsize == 0
    assert pages.color_of.cache_info().currsize == 0


def test_upstreams_cache_is_an_lru_cache(caches):
    assert type(dask.utils.key_split) is type(lru_cache(len))
    assert dask.utils.key_split.cache_parameters()["maxsize"] == 100_000


def test_prefix_and_group_of_a_key_come_from_one_cache(caches):
    install_key_caches(100)
    before = dask.utils.key_split.cache_info().currsize
    for i in range(1000):
        key = f"inc-{i:032x}"
        assert upstream.key_split(key) == upstream.key_split_group(key) == "inc"
    assert dask.utils.key_split.cache_info().currsize == before
    info = upstream.key_split.cache_info()
    assert (info.currsize, info.misses) == (100, 1000)


def test_a_hit_of_the_prefix_runs_no_python(caches):
    install_key_caches(100)
    key, calls = ("inc-1", 0), []
    sys.setprofile(lambda frame, event, arg: calls.append(event))
    try:
        upstream.key_split(key)
        calls.clear()
        upstream.key_split(key)
    finally:
        sys.setprofile(None)
    assert "call" not in calls


@pytest.mark.parametrize("make", [lambda i: f"inc-{i:032x}", lambda i: ("inc-1", i)])
def test_the_report_counts_cached_keys_within_20_percent(caches, make):
    install_key_caches(10_000)
    tracemalloc.start()
    try:
        for i in range(3000):
            upstream.key_split(make(1000 + i))
        before, counted = tracemalloc.get_traced_memory()[0], look_at_key_caches()
        upstream.key_split.cache_clear()
        gc.collect()  # which empties CPython's lists of free tuples
        freed = before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert counted.nbytes == pytest.approx(freed, rel=0.2)
    assert look_at_key_caches().nbytes == 0
