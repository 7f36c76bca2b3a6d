"""Graphs of all kinds, and where their tasks run."""

from __future__ import annotations

import operator
from itertools import pairwise

import dask
import dask.array as da
from distributed import Event, span, wait

from tests.helpers.schedulers import until
from tests.tasks.scenarios.cluster import heavy, inc, scenario, wait_for_event


@scenario
async def maps(c):
    futures = c.a.map(inc, range(200))
    assert await c.a.gather(futures) == list(range(1, 201))


@scenario
async def tree_reduction(c):
    level = c.a.map(inc, range(64))
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [c.a.submit(operator.add, *pair) for pair in pairs]
    assert await level[0] == sum(range(1, 65))


@scenario
async def hub(c):
    """A task with many dependencies and many dependents."""
    total = c.a.submit(sum, c.a.map(inc, range(100)))
    outs = [c.a.submit(operator.add, total, i) for i in range(100)]
    assert await c.a.gather(outs) == [5050 + i for i in range(100)]


@scenario
async def delayed_graph(c):
    add = dask.delayed(operator.add)
    nodes = [dask.delayed(inc)(i) for i in range(20)]
    sums = [add(*pair) for pair in pairwise(nodes)]
    total = dask.delayed(sum)([*sums, {"nested": 1}["nested"]])
    assert await c.a.compute(total) == sum(2 * i + 3 for i in range(19)) + 1


@scenario
async def arrays(c):
    x = da.ones((60, 60), chunks=10)
    assert await c.a.compute((x + x.T).sum()) == 7200
    y = c.a.persist(x.rechunk((30, 5)) + 1)
    assert await c.a.compute(y.sum()) == 7200


@scenario
async def p2p_rechunk(c):
    x = da.ones((60, 60), chunks=(10, 60)).rechunk((60, 10), method="p2p")
    assert await c.a.compute((x + 1).sum()) == 7200


@heavy
async def dataframes(c):
    import dask.dataframe as dd
    import pandas as pd

    df = dd.from_pandas(pd.DataFrame({"x": range(200), "y": range(200)}), npartitions=8)
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        shuffled = df.shuffle("x").y.sum()
        assert await c.a.compute(shuffled) == sum(range(200))
    grouped = df.groupby("x").y.sum(split_out=4).sum()
    assert await c.a.compute(grouped) == sum(range(200))


@scenario
async def queued_tasks(c):
    """More root tasks than threads; some are cancelled, some released."""
    futures = c.a.map(wait_for_event, range(60), name="go")
    await until(lambda: len(c.scheduler.queued) > 40)
    await c.a.cancel(futures[50:])
    del futures[40:]
    await until(lambda: len(c.scheduler.tasks) == 40)
    await Event("go").set()
    assert await c.a.gather(futures) == [*range(40)]
    assert not c.scheduler.queued


class Counter:
    n = 0

    def add(self, x):
        self.n += x
        return self.n


@scenario
async def actors(c):
    future = c.a.submit(Counter, actor=True)
    counter = await future
    await counter.add(1)
    assert await counter.add(2) == 3


@scenario
async def restrictions_and_resources(c):
    gpu = await c.add_worker(resources={"GPU": 1})
    on_gpu = c.a.map(inc, range(6), resources={"GPU": 1})
    elsewhere = c.a.map(inc, range(10, 16), workers=[c.workers[0].address])
    nowhere = c.a.submit(inc, 1, workers=["tcp://127.0.0.9:9"])
    await wait([*on_gpu, *elsewhere])
    assert {a for f in on_gpu for a in c.holders(f)} == {gpu.address}
    assert {a for f in elsewhere for a in c.holders(f)} == {c.workers[0].address}
    assert c.states([nowhere]) == {"no-worker"}


@scenario
async def priorities_and_annotations(c):
    with dask.annotate(priority=5, retries=1):
        x = da.ones((20, 20), chunks=10).sum()
        assert await c.a.compute(x, optimize_graph=False) == 400
    low = c.a.map(inc, range(20), priority=-1)
    high = c.a.map(inc, range(20, 40), priority=10)
    assert await c.a.gather(low + high) == [*range(1, 41)]


@scenario
async def spans_and_dumps(c):
    with span("outer"), span("inner"):
        futures = c.a.map(inc, range(10))
    await wait(futures)
    spans = c.scheduler.extensions["spans"]
    assert [each.name for each in spans.spans_search_by_name["outer", "inner"]] == [
        ("outer", "inner")
    ]
    dump = c.scheduler._to_dict()
    assert len(dump["tasks"]) == 10
    state = dump["tasks"][futures[0].key]
    assert len(state["who_wants"]) == len(state["who_has"]) == 1
    assert state["dependencies"] == state["dependents"] == []
    assert await c.a.story(futures[0].key)
