"""A real cluster, and what all scenarios on it have in common."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from distributed import Client, Event, Scheduler, Worker

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
    #: Workers that a scenario adds.
    more: list[Worker] = field(default_factory=list)

    async def add_worker(self, **options):
        worker = await Worker(
            self.scheduler.address,
            dashboard=False,
            validate=True,
            nthreads=2,
            **options,
        )
        self.more.append(worker)
        return worker

    def states(self, futures):
        """Return the states of the tasks of futures."""
        return {self.scheduler.tasks[each.key].state for each in futures}

    def holders(self, future):
        """Return the addresses of the workers that hold a result."""
        return [ws.address for ws in self.scheduler.tasks[future.key].who_has]

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


def started(name):
    """Return the event that tells that a task waits for an event.

    One that is about to start when its client is closed makes a client of its own.
    """
    return Event(f"{name}-started")


def wait_for_event(x, name):
    started(name).set()
    Event(name).wait(timeout=30)
    return x
