from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from dask.utils import key_split
from distributed import Client

from benchmarks.harness.cluster import Cluster
from benchmarks.names import inputs
from benchmarks.names.held import (
    held_and_reported,
    held_as_reported,
    held_by_long_names,
    n_rounds,
)
from benchmarks.names.loads import LOADS
from benchmarks.tasks import increment, settle
from leandask.histories.names import LONGEST, Limit, cut, weigh
from tests.helpers.processes import wait_for


def test_short_names_weigh_nothing_and_long_ones_their_bytes():
    assert weigh("x" * 79) == weigh(b"x") == weigh(5) == weigh(("x" * 79, 1, 2)) == 0
    assert 99_900 < weigh("x" * 100_000) < 100_000
    assert 199_800 < weigh(("x" * 100_000, ("é" * 100_000, 1))) < 200_000
    assert weigh(tuple(range(10_000))) > 10_000


def test_the_benchmark_makes_names_that_are_prefixes_of_keys():
    for number in (0, 1, 1499):
        prefix = inputs.name("prefix", number)
        assert len(prefix) > inputs.LENGTH.get() - 10
        assert key_split(f"{prefix}-{number}") == prefix


class Text(str):
    """A text of a user's own type: graphs are pickled, so keys may be of it."""


class Pair(NamedTuple):
    text: str
    number: int


@pytest.mark.parametrize("name", [Text("x" * 100_000), Pair("x" * 100_000, 1)])
def test_a_name_of_a_users_own_type_is_weighed_and_cut(name):
    assert weigh(name) > 99_900
    assert weigh(cut(name)) <= LONGEST + 100
    assert weigh(Text("x")) == 0


@pytest.mark.parametrize(
    "name",
    ["x" * 100_000, b"x" * 100_000, ("x" * 100_000, 0), ("x" * 100,) * 10_000],
)
def test_a_name_that_was_cut_is_of_the_same_kind_and_short(name):
    assert type(cut(name)) is type(name)
    assert weigh(cut(name)) <= LONGEST + 100
    assert cut(cut(name)) == cut(name)


def test_a_limit_counts_entries_and_names():
    limit = Limit(1000, each=100)
    assert not limit.is_exceeded(10, 0)
    assert limit.is_exceeded(10, 1)
    assert limit.is_exceeded(1, 901)


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("DASK_LEANDASK__RETENTION__BUDGET", "16 MiB")
    monkeypatch.setenv("DASK_LEANDASK__HOUSEKEEPING__INTERVAL", "500ms")
    cluster = Cluster("leandask", n_workers=1)
    yield cluster
    cluster.close()


async def use_names(cluster, kinds, count):
    """Use a number of names of each kind, with a client that leaves then."""
    async with Client(
        cluster.address, asynchronous=True, set_as_default=False
    ) as client:
        with client.as_current():
            loads = [
                LOADS[kind](client, cluster.address, range(count)) for kind in kinds
            ]
            await asyncio.gather(*loads)


def rest(cluster):
    """Wait until all that has finished is weighed, and forgotten where it may be."""
    # A scheduler holds a worker's last message until its next one.
    cluster.client.submit(increment, 1, pure=False).result()
    rounds = cluster.ask(n_rounds)
    wait_for(lambda: cluster.ask(n_rounds) > rounds + 1)


def test_what_is_kept_of_long_names_is_bounded_and_reported(cluster):
    kinds = LOADS.keys() - {"workers"}  # they take long
    cluster.client.sync(use_names, cluster, kinds, 15)
    # Each kind had 1.5 MB, of which up to four copies were kept.
    wait_for(lambda: cluster.ask(held_by_long_names) < 8e6)
    rest(cluster)
    held, reported = cluster.ask(held_by_long_names), cluster.ask(held_as_reported)
    assert held < reported < 16 * 2**20
    # What is reported goes when a history is emptied.
    for name, (held, reported) in cluster.ask(held_and_reported).items():
        assert held <= 1.2 * reported, name
        assert reported - held < 0.2 * reported + 100_000, name


def test_what_is_kept_of_tasks_that_erred_is_reported(cluster):
    for kind in ("watched", "erred"):
        cluster.client.sync(use_names, cluster, [kind], 15)
    rest(cluster)
    held, reported = cluster.ask(held_and_reported)["task-stream"]
    assert held <= 1.2 * reported
    assert reported - held < 0.2 * reported + 100_000


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_memory_after_1500_names_of_each_kind(cluster):
    cluster.client.submit(increment, 1).result()
    cluster.ask(settle)
    before = cluster.rss
    first = ["keys", "prefixes", "tags", "locks"]
    # The others bring in workers, clients, plugins and queues, and what these need.
    for kinds, most in ((first, 20), ([k for k in LOADS if k not in first], 30)):
        for kind in kinds:
            cluster.client.sync(use_names, cluster, [kind], 1500)
            print(f"{kind}: {cluster.rss - before:+.1f} MiB")
        # Free memory goes back once a minute.
        wait_for(lambda n=most: cluster.rss - before <= n, timeout=180, interval=1)
    held, reported = cluster.ask(held_by_long_names), cluster.ask(held_as_reported)
    assert held < reported < 16 * 2**20
