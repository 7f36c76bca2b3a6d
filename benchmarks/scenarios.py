"""What fills a scheduler's memory: one class per scenario.

Each runs on a fresh scheduler process. Workers and clients that come and go are real
ones, in this process.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

from distributed import Client, Future, Worker, wait

from benchmarks.cluster import Cluster


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A load, and how much memory it may take.

    The bars are in MiB: for the memory itself, or its growth in each step.
    """

    #: Runs a step, of which each has its number.
    run: Callable[[Cluster, int], None]
    #: What is measured after each step, in the same order.
    bars: tuple[float | None, ...]
    n_workers: int = 0
    #: Whether the last bar is for the memory itself, and not for its growth.
    is_absolute: bool = False

    @property
    def title(self) -> str:
        """The first line of what describes it."""
        return str(self.run.__doc__).splitlines()[0].rstrip(".")


def increment(x: int) -> int:
    """Return x + 1: a task that takes no time."""
    return x + 1


def pause(x: int) -> int:
    """Return x after 5 ms."""
    time.sleep(0.005)
    return x


def fail(x: int, depth: int = 40) -> None:
    """Raise an error of 3 kB with a traceback of 40 frames."""
    if depth:
        fail(x, depth - 1)
    raise ValueError(f"{x} " * (3000 // len(f"{x} ")))


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll another process."""
    while not condition():
        time.sleep(0.05)


def wait_until_empty(cluster: Cluster) -> None:
    """Wait until the scheduler has forgotten all tasks."""
    wait_until(lambda: cluster.ask(n_tasks) == 0)


def n_tasks(dask_scheduler: Any = None) -> int:
    """Count the scheduler's tasks."""
    return len(dask_scheduler.tasks)


def start(cluster: Cluster, step: int) -> None:
    """At start, with the dashboard reachable."""
    host, port = cluster.dashboard
    assert urllib.request.urlopen(f"http://{host}:{port}/health").status == 200


def run_tiny_tasks(
    cluster: Cluster, first: int, count: int, in_flight: int = 5_000
) -> None:
    """Run tasks of no duration in batches, of which none is kept.

    Parameters
    ----------
    cluster : Cluster
    first : int
        Tasks run before: no key comes twice.
    count : int
        Tasks to run.
    in_flight : int, optional
        Tasks that the scheduler knows at one time: five batches.
    """
    size = in_flight // 5
    batches: deque[list[Future]] = deque()
    # To wait with another client than the current one is slow.
    with cluster.client.as_current():
        for begin in range(first, first + count, size):
            if len(batches) == 5:
                wait(batches.popleft())
            numbers = range(begin, min(begin + size, first + count))
            batches.append(cluster.client.map(increment, numbers))
        wait(list(chain.from_iterable(batches)))


def tiny_tasks(cluster: Cluster, step: int) -> None:
    """100,000 tiny tasks on 10 workers."""
    run_tiny_tasks(cluster, step * 100_000, 100_000)
    wait_until_empty(cluster)


def small_computations(cluster: Cluster, step: int) -> None:
    """3000 small computations."""
    for i in range(3000):
        cluster.client.submit(increment, step * 3000 + i).result()


def prefixes(cluster: Cluster, step: int) -> None:
    """500 prefixes, 5 computations of each."""
    for i in range(2500):
        key = f"function_{step}_{i % 500}-{i:032x}"
        cluster.client.submit(increment, i, key=key).result()


async def _come_and_go(address: str, count: int, seconds: float) -> None:
    for _ in range(0, count, 10):
        workers = [Worker(address, nthreads=1, dashboard=False) for _ in range(10)]
        await asyncio.gather(*workers)
        await asyncio.sleep(seconds)
        await asyncio.gather(*(worker.close() for worker in workers))


def workers_idle(cluster: Cluster, step: int) -> None:
    """300 workers come and go, idle."""
    cluster.client.sync(_come_and_go, cluster.address, 300, 0.1)


def workers_busy(cluster: Cluster, step: int) -> None:
    """250 workers come and go under load."""
    numbers = iter(range(step * 10**6, (step + 1) * 10**6))
    coming = cluster.client.sync(
        _come_and_go, cluster.address, 250, 0.5, asynchronous=True
    )
    loop = cluster.client.loop.asyncio_loop  # type: ignore[attr-defined]
    churn = asyncio.run_coroutine_threadsafe(_as_coroutine(coming), loop)
    batches: deque[list[Future]] = deque()
    with cluster.client.as_current():
        while not churn.done():
            if len(batches) == 3:
                wait(batches.popleft())
            batch = [next(numbers) for _ in range(200)]
            batches.append(cluster.client.map(pause, batch))
        wait(list(chain.from_iterable(batches)))
    churn.result()
    batches.clear()
    wait_until_empty(cluster)


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable


async def _clients_come_and_go(address: str, count: int) -> None:
    for i in range(count):
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            await client.submit(increment, i, key=f"increment-{client.id}")


def clients(cluster: Cluster, step: int) -> None:
    """300 clients come, run a task and go."""
    cluster.client.sync(_clients_come_and_go, cluster.address, 300)


def topics(cluster: Cluster, step: int) -> None:
    """20,000 events on 2000 topics."""
    for i in range(20_000):
        msg = {"action": "mine", "number": i, "text": f"event {i} of {step}"}
        cluster.client.log_event(f"topic-{step}-{i % 2000}", msg)
    wait_until(lambda: bool(cluster.client.get_events(f"topic-{step}-{19_999 % 2000}")))
    time.sleep(1)


def errors(cluster: Cluster, step: int) -> None:
    """2000 erring tasks with long tracebacks."""
    for begin in range(0, 2000, 50):
        numbers = range(step * 2000 + begin, step * 2000 + begin + 50)
        wait(cluster.client.map(fail, numbers))
    wait_until_empty(cluster)


def pages(cluster: Cluster, step: int) -> None:
    """Pages open, 10,000 tasks, pages closed; before it one is opened and closed."""
    from bokeh.client import pull_session  # of use here only

    host, port = cluster.dashboard
    names = ("status", "tasks", "workers", "individual-group-progress", "graph")
    opened = names[:1] if step == 0 else names
    with ExitStack() as stack:
        for name in opened:
            session = pull_session(url=f"http://{host}:{port}/{name}")
            stack.callback(session.close)
        if step:
            run_tiny_tasks(cluster, 0, 10_000, in_flight=1000)
    time.sleep(30)  # Bokeh forgets a session 15 s after it was left


def release(cluster: Cluster, step: int) -> None:
    """A graph of 300,000 tasks is submitted; released, and 30 s later."""
    if step == 0:
        cluster.kept = cluster.client.map(increment, range(300_000))
        wait_until(lambda: cluster.ask(n_tasks) == 300_000)
    else:
        cluster.kept = None
        wait_until_empty(cluster)
        time.sleep(30)


def idle(cluster: Cluster, step: int) -> None:
    """10 minutes idle with 20 workers, and 20 minutes after these."""
    time.sleep(600 if step == 0 else 1200)


#: By name. Those that have two steps do the same twice, unless they say otherwise.
SCENARIOS: dict[str, Scenario] = {
    "start": Scenario(start, (60,), is_absolute=True),
    "tiny-tasks": Scenario(tiny_tasks, (22, 0.5), n_workers=10),
    "small-computations": Scenario(small_computations, (None, 0.5), n_workers=2),
    "prefixes": Scenario(prefixes, (8,), n_workers=2),
    "workers-idle": Scenario(workers_idle, (None, 0.3)),
    "workers-busy": Scenario(workers_busy, (8, 1), n_workers=10),
    "clients": Scenario(clients, (None, 0.3), n_workers=1),
    "topics": Scenario(topics, (2,)),
    "errors": Scenario(errors, (8, 0.5), n_workers=2),
    "pages": Scenario(pages, (None, 18), n_workers=6),
    "release": Scenario(release, (None, 150), is_absolute=True),
    "idle": Scenario(idle, (None, 0.1), n_workers=20),
}


def steps(scenario: Scenario) -> Iterator[int]:
    """Number the steps of a scenario."""
    return iter(range(len(scenario.bars)))
