"""The memory scenarios: each puts one load on a scheduler, in one or two steps.

Each runs on a new scheduler process with the default settings. Workers and clients that
come and go are real ones, in this process.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from tempfile import TemporaryDirectory
from typing import Any, Literal

from distributed import (
    Client,
    Future,
    Worker,
    get_task_stream,
    performance_report,
    wait,
)

from benchmarks.harness.cluster import Cluster
from benchmarks.tasks import fail, increment, n_pages, n_tasks, pause

PATIENCE = 600  # seconds after which a scheduler counts as stuck


@dataclasses.dataclass(frozen=True)
class Step:
    """What is measured after a step of a scenario."""

    #: MiB that leandask may take at most; None if there is no bar.
    bar: float | None = None
    #: What the bar is for: the memory that the step added, all memory, or its slope
    #: while the step waits, in MiB per hour.
    kind: Literal["growth", "total", "slope"] = "growth"
    #: Seconds from the end of the load to the measurement, so that all work is done.
    wait: float = 3.0


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A load, and how much memory it may take."""

    #: Puts the load of a step on a cluster, given the step's number from 0.
    load: Callable[[Cluster, int], None]
    #: Two steps have the same load, unless its title says otherwise.
    steps: tuple[Step, ...]
    #: Workers that stay from the start to the end.
    n_workers: int = 0

    @property
    def title(self) -> str:
        """The first line of the load's docstring."""
        return str(self.load.__doc__).splitlines()[0].rstrip(".")

    @property
    def step_titles(self) -> list[str]:
        """A title for each step."""
        titles = self.title.split("; then ")
        return titles if len(titles) == len(self.steps) else [*titles, "the same again"]


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll until a condition holds in another process."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"The scheduler was not ready within {PATIENCE} s")
        time.sleep(0.05)


def wait_until_empty(cluster: Cluster) -> None:
    """Wait until the scheduler has forgotten all tasks."""
    wait_until(lambda: cluster.ask(n_tasks) == 0)


def wait_until_closed(cluster: Cluster) -> None:
    """Wait until the scheduler has forgotten all pages, up to half a minute."""
    wait_until(lambda: cluster.ask(n_pages) == 0)


def start(cluster: Cluster, step: int) -> None:
    """At start, with the dashboard reachable."""
    host, port = cluster.dashboard
    with urllib.request.urlopen(f"http://{host}:{port}/health") as response:
        assert response.status == 200


def run_tiny_tasks(
    cluster: Cluster, first: int, count: int, in_flight: int = 5_000
) -> None:
    """Run ``count`` tasks of no duration in batches, and keep no result.

    ``first`` is the number of tasks that ran before, so that no key is used twice; the
    scheduler knows ``in_flight`` tasks at the same time, which are five batches.
    """
    size = in_flight // 5
    batches: deque[list[Future]] = deque()
    # Waiting is slow when the client is not the current one.
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


def fewer_tiny_tasks(cluster: Cluster, step: int) -> None:
    """20,000 tiny tasks on 10 workers."""
    run_tiny_tasks(cluster, step * 20_000, 20_000)
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


async def workers_come_and_go(
    address: str, count: int, seconds: float, at_a_time: int = 10
) -> None:
    """Start workers in this process, and close each after some seconds."""
    for _ in range(0, count, at_a_time):
        workers = [
            Worker(address, nthreads=1, dashboard=False) for _ in range(at_a_time)
        ]
        await asyncio.gather(*workers)
        await asyncio.sleep(seconds)
        await asyncio.gather(*(worker.close() for worker in workers))


def worker_churn(cluster: Cluster, step: int) -> None:
    """300 workers come and go, idle."""
    cluster.client.sync(workers_come_and_go, cluster.address, 300, 0.1)


def worker_churn_load(cluster: Cluster, step: int) -> None:
    """250 workers come and go while tasks run."""
    churn = asyncio.run_coroutine_threadsafe(
        workers_come_and_go(cluster.address, 250, 0.5),
        cluster.client.loop.asyncio_loop,
    )
    numbers = iter(range(step * 10**6, (step + 1) * 10**6))
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


async def clients_come_and_go(address: str, count: int, nbytes: int = 0) -> None:
    """Connect clients in this process, one after the other, and run a task in each.

    So many bytes, which nothing compresses, are in the spec of a task.
    """
    for i in range(count):
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            key, data = f"increment-{client.id}", os.urandom(nbytes)
            await client.submit(increment, i, data, key=key)


def client_churn(cluster: Cluster, step: int) -> None:
    """300 clients come, run a task and go."""
    cluster.client.sync(clients_come_and_go, cluster.address, 300)


def flow_runs(cluster: Cluster, step: int) -> None:
    """400 flow runs as Prefect's: each a client, and a task of 80 kB."""
    cluster.client.sync(clients_come_and_go, cluster.address, 400, 80_000)


def topics(cluster: Cluster, step: int) -> None:
    """20,000 events on 2000 topics."""
    for i in range(20_000):
        msg = {"action": "mine", "number": i, "text": f"event {i} of {step}"}
        cluster.client.log_event(f"topic-{step}-{i % 2000}", msg)
    wait_until(lambda: bool(cluster.client.get_events(f"topic-{step}-{19_999 % 2000}")))


def errors(cluster: Cluster, step: int) -> None:
    """2000 erring tasks with long tracebacks."""
    for begin in range(0, 2000, 50):
        numbers = range(step * 2000 + begin, step * 2000 + begin + 50)
        wait(cluster.client.map(fail, numbers))
    wait_until_empty(cluster)


@contextmanager
def open_pages(cluster: Cluster, names: Sequence[str]) -> Iterator[list[Any]]:
    """Open pages of the dashboard as a browser does, and close them."""
    from bokeh.client import pull_session  # a heavy import

    host, port = cluster.dashboard
    with ExitStack() as stack:
        sessions = []
        for name in names:
            session = pull_session(url=f"http://{host}:{port}/{name}")
            stack.callback(session.close)
            sessions.append(session)
        yield sessions


def pages(cluster: Cluster, step: int) -> None:
    """A page opened and closed; then five, for 10,000 tasks."""
    names = ("status", "tasks", "workers", "graph", "individual-group-progress")
    with open_pages(cluster, names if step else names[:1]) as sessions:
        for begin in range(0, 10_000 if step else 0, 500):
            run_tiny_tasks(cluster, begin, 500)
            for session in sessions:
                session.force_roundtrip()  # reads what came, as a browser does


def watched(cluster: Cluster, step: int) -> None:
    """20,000 tiny tasks, which a client watches."""
    with cluster.client.as_current(), get_task_stream() as stream:
        run_tiny_tasks(cluster, step * 20_000, 20_000)
    if cluster.name != "recommended":  # it keeps only some of them
        assert len(stream.data) >= 20_000


def reported(cluster: Cluster, step: int) -> None:
    """20,000 tiny tasks, and a performance report of them."""
    with TemporaryDirectory() as folder, cluster.client.as_current():
        with performance_report(f"{folder}/report.html"):
            run_tiny_tasks(cluster, step * 20_000, 20_000)


def release(cluster: Cluster, step: int) -> None:
    """A graph of 300,000 tasks, pending; then released."""
    if step == 0:
        cluster.kept = cluster.client.map(increment, range(300_000))
        wait_until(lambda: cluster.ask(n_tasks) == 300_000)
    else:
        cluster.kept = None
        wait_until_empty(cluster)


def idle(cluster: Cluster, step: int) -> None:
    """Idle with 20 workers for 10 minutes; then the slope."""


#: By name.
SCENARIOS: dict[str, Scenario] = {
    "start": Scenario(start, (Step(60, "total"),)),
    "tiny-tasks": Scenario(tiny_tasks, (Step(22), Step(0.5)), n_workers=10),
    "small-computations": Scenario(
        small_computations, (Step(), Step(0.5)), n_workers=2
    ),
    "prefixes": Scenario(prefixes, (Step(8),), n_workers=2),
    "worker-churn": Scenario(worker_churn, (Step(), Step(0.3))),
    "worker-churn-load": Scenario(worker_churn_load, (Step(8), Step(1)), n_workers=10),
    "client-churn": Scenario(client_churn, (Step(), Step(0.3)), n_workers=1),
    "flow-runs": Scenario(flow_runs, (Step(20), Step(2)), n_workers=4),
    "topics": Scenario(topics, (Step(2),)),
    "errors": Scenario(errors, (Step(8), Step(0.5)), n_workers=2),
    # Bokeh forgets a session 15 s after its page was closed, or a little later.
    "pages": Scenario(pages, (Step(wait=30), Step(18, wait=30)), n_workers=6),
    "watched": Scenario(watched, (Step(), Step()), n_workers=4),
    "reported": Scenario(reported, (Step(), Step()), n_workers=4),
    "release": Scenario(release, (Step(), Step(150, "total", wait=30))),
    "idle": Scenario(
        idle, (Step(wait=600), Step(0.3, "slope", wait=1200)), n_workers=20
    ),
}

#: Those that show a difference within a minute for each scheduler, by name.
QUICK: dict[str, Scenario] = {
    "start": SCENARIOS["start"],
    "fewer-tiny-tasks": Scenario(fewer_tiny_tasks, (Step(), Step()), n_workers=10),
    "topics": SCENARIOS["topics"],
    "errors": Scenario(errors, (Step(8),), n_workers=2),
}

TITLES = {name: scenario.title for name, scenario in (SCENARIOS | QUICK).items()}
