from __future__ import annotations

from functools import lru_cache

import dask.utils
import pytest
from distributed import profile
from distributed import scheduler as upstream
from distributed.comm import resolve_address
from distributed.diagnostics import task_stream

from leandask import _compat
from leandask.histories.caches import bound_key_caches, clear_key_caches


@pytest.fixture
def caches(key_caches):
    """Upstream's own caches, empty at the end."""
    bound_key_caches(None, anew=True)
    yield
    clear_key_caches(0)
    _compat.HOSTS.cache_clear()


def test_the_smaller_bound_holds_and_answers_stay(caches):
    bound_key_caches(100)
    bound_key_caches(1000)
    bound_key_caches(None)
    for i in range(1000):
        assert upstream.key_split(f"inc-{i:032x}") == "inc"
    assert upstream.key_split.cache_info().currsize == 100
    assert upstream.key_split(("x-1", 0)) == dask.utils.key_split(("x-1", 0))


def test_an_unbounded_key_cache_stays_upstreams(caches):
    bound_key_caches(None)
    assert upstream.key_split is dask.utils.key_split


def test_keys_that_the_dashboard_shows_are_kept_up_to_the_same_bound(caches):
    pytest.importorskip("bokeh")
    from distributed.dashboard.components import scheduler as pages

    assert pages.url_escape.cache_parameters()["maxsize"] is None  # upstream's
    bound_key_caches(100)
    for i in range(1000):
        assert pages.url_escape(f"('inc-{i}', 0)") == f"%28%27inc-{i}%27%2C+0%29"
    assert pages.url_escape.cache_info().currsize == 100
    bound_key_caches(None, anew=True)
    assert pages.url_escape is _compat.KEY_CACHES["url_escape"]


def test_colors_of_functions_are_kept_up_to_the_same_bound(caches):
    pytest.importorskip("bokeh")
    from distributed.dashboard.components import scheduler as pages

    wanted = pages.color_of("inc")
    bound_key_caches(100)
    for i in range(1000):
        assert pages.color_of(f"f{i}") == pages.ts_color_of(f"f{i}")
    assert pages.color_of("inc") == wanted
    info = pages.color_of.cache_info()
    assert (info.currsize, info.hits) == (100, 1000)
    assert profile.color_of is task_stream.color_of is pages.color_of


def test_addresses_of_hosts_are_kept_up_to_a_bound_and_never_emptied(caches):
    bound_key_caches(0)
    before = _compat.HOSTS.cache_info().misses
    for i in range(11_000):
        address = f"tcp://127.9.{i // 250}.{i % 250}:80"
        assert resolve_address(address) == address
    clear_key_caches(0)
    info = _compat.HOSTS.cache_info()
    assert (info.currsize, info.misses - before) == (10_000, 11_000)
    assert resolve_address(address) == address
    assert _compat.HOSTS.cache_info().hits == info.hits + 1


def test_the_shared_cache_is_emptied_only_where_it_is_too_full(caches):
    for i in range(50):
        dask.utils.key_split(f"x-{i}")
    clear_key_caches(50)
    clear_key_caches(None)
    assert dask.utils.key_split.cache_info().currsize == 50
    clear_key_caches(49)
    assert dask.utils.key_split.cache_info().currsize == 0


def test_upstreams_cache_is_an_lru_cache(caches):
    assert type(dask.utils.key_split) is type(lru_cache(len))
    assert dask.utils.key_split.cache_parameters()["maxsize"] == 100_000


def test_prefix_and_group_of_a_key_come_from_one_cache(caches):
    bound_key_caches(100)
    before = dask.utils.key_split.cache_info().currsize
    for i in range(1000):
        key = f"inc-{i:032x}"
        assert upstream.key_split(key) == upstream.key_split_group(key) == "inc"
    assert dask.utils.key_split.cache_info().currsize == before
    info = upstream.key_split.cache_info()
    assert (info.currsize, info.hits, info.misses) == (100, 1000, 1000)
