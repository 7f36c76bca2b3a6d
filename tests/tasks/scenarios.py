"""What users do with a cluster, one function each: with real workers and clients."""

from __future__ import annotations

import asyncio
import operator
import time
from dataclasses import dataclass, field

import dask
import dask.array as da
from distributed import (
    Client,
    Event,
    KilledWorker,
    Queue,
    Scheduler,
    Variable,
    Worker,
    fire_and_forget,
    span,
    wait,
)
from distributed.client import FutureCancelledError

from tests.helpers.schedulers import until

#: All scenarios by name.
SCENARIOS = {}
#: Those that take seconds.
HEAVY = set()


@dataclass
class Cluster:
    """A scheduler with workers, and two clients."""

    scheduler: Scheduler
    workers: list[Worker]
    a: Client
    b: Client
    validate: bool = True
    more: list[Worker] = field(default_factory=list)

    async def add_worker(self, **options):
        worker = await Worker(
            self.scheduler.address, dashboard=False, validate=True, nthreads=2, **options
        )
        self.more.append(worker)
        return worker

    def states(self, futures):
        """Return the states of the tasks of futures."""
        return {self.scheduler.tasks[each.key].state for each in futures}

    def processing(self):
        return any(ws.processing for ws in self.scheduler.workers.values())


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def heavy(function):
    HEAVY.add(function.__name__)
    return scenario(function)


def inc(x):
    return x + 1


def slow_inc(x, delay=0.02):
    time.sleep(delay)
    return x + 1


def wrong(x):
    raise ValueError(x)


class Flaky:
    """A function that fails the first time for each argument."""

    def __init__(self):
        self.seen = set()

    def __call__(self, x):
        if x not in SEEN:
            SEEN.add(x)
            raise RuntimeError(f"first time for {x}")
        return x

    def __reduce__(self):
        return Flaky, ()


#: What Flaky has seen: the workers are in this process.
SEEN: set = set()


def wait_for_event(x, name):
    Event(name).wait(timeout=30)
    return x


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
    sums = [add(*pair) for pair in zip(nodes, nodes[1:], strict=False)]
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
async def errors_of_tasks_and_their_dependents(c):
    erred = c.a.map(wrong, range(5))
    children = [c.a.submit(inc, each) for each in erred]
    grandchild = c.a.submit(sum, children)
    await wait(grandchild)
    assert c.states([*erred, *children, grandchild]) == {"erred"}
    assert isinstance(await grandchild.exception(), ValueError)


@scenario
async def retry_and_retries(c):
    SEEN.clear()
    flaky = c.a.submit(Flaky(), 1)
    child = c.a.submit(inc, flaky)
    await wait(child)
    assert child.status == "error"
    await c.a.retry([child])
    assert await child == 2
    futures = c.a.map(Flaky(), range(10, 15), retries=2)
    assert await c.a.gather(futures) == [*range(10, 15)]


@scenario
async def worker_leaves_and_dies(c):
    futures = c.a.map(slow_inc, range(60), pure=False)
    total = c.a.submit(sum, futures)
    await until(c.processing)
    await c.workers[0].close()
    await c.add_worker()
    address = c.workers[1].address
    await until(lambda: c.scheduler.workers[address].has_what)
    await c.scheduler.remove_worker(address, stimulus_id="dead", close=True)
    assert await total == sum(range(1, 61))


@scenario
async def task_that_kills_workers(c):
    c.scheduler.allowed_failures = 0
    future = c.a.submit(wait_for_event, 1, "never", key="killer")
    child = c.a.submit(inc, future)
    await until(c.processing)
    address = c.scheduler.tasks["killer"].processing_on.address
    await c.scheduler.remove_worker(address, stimulus_id="dead", close=False)
    assert isinstance(await child.exception(), KilledWorker)
    await Event("never").set()


@scenario
async def work_stealing(c):
    first = c.workers[0].address
    futures = c.a.map(
        slow_inc, range(40), workers=[first], allow_other_workers=True, pure=False
    )
    assert await c.a.gather(futures) == [*range(1, 41)]
    assert len({address for f in futures for address in await holders(c, f)}) > 1


async def holders(c, future):
    return [ws.address for ws in c.scheduler.tasks[future.key].who_has]


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
    assert {a for f in on_gpu for a in await holders(c, f)} == {gpu.address}
    assert {a for f in elsewhere for a in await holders(c, f)} == {
        c.workers[0].address
    }
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
async def no_workers(c):
    for worker in c.workers:
        await worker.close()
    futures = c.a.map(inc, range(30))
    sums = [c.a.submit(operator.add, *pair) for pair in zip(futures, futures[1:])]  # noqa: B905
    await until(lambda: len(c.scheduler.tasks) == 59)
    await c.add_worker()
    assert await c.a.gather(sums) == [2 * i + 3 for i in range(29)]


@scenario
async def scatter_replicate_rebalance(c):
    data = await c.a.scatter([*range(8)], hash=False)
    await c.a.replicate(data, n=2)
    assert all(len(c.scheduler.tasks[f.key].who_has) == 2 for f in data)
    assert await c.a.gather(c.a.map(inc, data)) == [*range(1, 9)]
    c.scheduler.extensions["amm"].run_once()
    await until(lambda: not c.scheduler.replicated_tasks)
    await c.a.rebalance()
    everywhere = await c.a.scatter(1, broadcast=True)
    assert len(c.scheduler.tasks[everywhere.key].who_has) == len(c.workers)


@scenario
async def worker_retires(c):
    data = c.a.map(inc, range(20))
    await wait(data)
    await c.a.retire_workers([c.workers[0].address])
    assert await c.a.gather(data) == [*range(1, 21)]


@scenario
async def clients_share_futures(c):
    of_a = c.a.map(inc, range(20))
    of_b = c.b.map(inc, range(20))
    await wait(of_b)
    assert len(c.scheduler.tasks) == 20
    await c.a.cancel(of_a)  # b still wants them
    assert await c.b.gather(of_b) == [*range(1, 21)]
    again = c.a.map(inc, range(20))
    await wait(again)
    del of_b
    await until(lambda: not c.scheduler.clients[c.b.id].wants_what)
    assert await c.a.gather(again) == [*range(1, 21)]


@scenario
async def cancel(c):
    futures = c.a.map(wait_for_event, range(10), name="cancelled")
    child = c.a.submit(sum, futures)
    await until(c.processing)
    await c.a.cancel(futures)
    await until(lambda: not c.scheduler.tasks)
    await until(child.cancelled)
    shared = c.a.submit(wait_for_event, 1, "cancelled", key="shared")
    other = c.b.submit(wait_for_event, 1, "cancelled", key="shared")
    tasks = c.scheduler.tasks
    await until(lambda: "shared" in tasks and len(tasks["shared"].who_wants) == 2)
    await c.a.cancel([shared], force=True)
    try:
        await other
    except FutureCancelledError:
        pass
    await Event("cancelled").set()


@scenario
async def variables_queues_and_datasets(c):
    future = c.a.submit(inc, 1)
    variable = Variable("variable", client=c.a)
    await variable.set(future)
    queue = await Queue("queue", client=c.a)
    await queue.put(future)
    await c.a.publish_dataset(future, name="dataset")
    del future
    assert await (await Variable("variable", client=c.b).get()) == 2
    assert await (await c.b.get_dataset("dataset")) == 2
    assert await (await queue.get()) == 2
    variable.delete()
    await c.a.unpublish_dataset("dataset")
    fire_and_forget(c.a.submit(inc, 99))
    await until(lambda: not c.scheduler.tasks)


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


@heavy
async def restart(c):
    futures = c.a.map(wait_for_event, range(30), name="restart")
    await until(c.processing)
    await c.a.restart(wait_for_workers=False)
    assert not c.scheduler.tasks
    await until(lambda: all(each.cancelled() for each in futures))
    await Event("restart", client=c.a).set()
    await c.add_worker()
    assert await c.a.gather(c.a.map(inc, range(30))) == [*range(1, 31)]


@scenario
async def adaptive_and_idle(c):
    assert c.scheduler.is_idle
    futures = c.a.map(wait_for_event, range(20), name="adaptive")
    await until(c.processing)
    assert not c.scheduler.is_idle
    assert c.scheduler.adaptive_target() >= 1
    assert c.scheduler.workers_to_close() == []
    await Event("adaptive").set()
    await asyncio.gather(*futures)
