"""Names of any length: a load of each kind of name that a scheduler may keep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import dask
from distributed import (
    Client,
    Event,
    Lock,
    MultiLock,
    Queue,
    Variable,
    Worker,
    span,
    wait,
)
from distributed.metrics import context_meter

from benchmarks.tasks import increment

#: Characters of a name.
LENGTH = 100_000

#: Uses a number of names with a client at a scheduler's address.
Load = Callable[[Client, str, int], Awaitable[None]]


def name(kind: str, number: int) -> str:
    """Make a name of letters alone, all of which belong to the prefix of a key."""
    letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number:08}")
    return f"{kind}-{letters}-{'x' * (LENGTH - len(kind) - 10)}"


def fail(kind: str) -> None:
    """Raise an error."""
    raise ValueError(kind[:100])


def make(number: int) -> Any:
    """Return an object whose class has a long name."""
    return type(f"T{number:08}{'x' * LENGTH}", (), {})()


def measure(number: int) -> None:
    """Measure an activity that has a long name."""
    context_meter.digest_metric(f"activity-{number:08}{'x' * LENGTH}", 1.0, "seconds")


async def keys(client: Client, address: str, count: int) -> None:
    """Keys: of text, and tuples."""
    for i in range(count):
        digits = f"inc-{i:0{LENGTH}}"
        await client.submit(increment, i, key=digits if i % 2 else (digits, 0))


async def prefixes(client: Client, address: str, count: int) -> None:
    """Prefixes of keys."""
    for i in range(count):
        await client.submit(increment, i, key=f"{name('prefix', i)}-{i}")


async def erred(client: Client, address: str, count: int) -> None:
    """Prefixes of tasks that erred."""
    for i in range(count):
        await wait(client.submit(fail, "x", key=f"{name('erred', i)}-{i}"))


async def tags(client: Client, address: str, count: int) -> None:
    """Spans."""
    for i in range(count):
        with span(name("span", i)):
            await client.submit(increment, i, pure=False)


async def annotations(client: Client, address: str, count: int) -> None:
    """Annotations."""
    for i in range(count):
        with dask.annotate(**{name("annotation", i): 1}):
            await client.submit(increment, i, pure=False)


async def types(client: Client, address: str, count: int) -> None:
    """Types of results."""
    for i in range(count):
        await wait(client.submit(make, i, key=f"make-{i}"))


async def activities(client: Client, address: str, count: int) -> None:
    """What tasks measured."""
    for i in range(count):
        await client.submit(measure, i, key=f"measure-{i}")


async def locks(client: Client, address: str, count: int) -> None:
    """Locks, multi-locks and events."""
    for i in range(count):
        lock, several = Lock(name("lock", i)), MultiLock([name("several", i)])
        for each in (lock, several):
            await each.acquire()
            await each.release()
        event = Event(name("event", i))
        await event.set()
        await event.clear()


async def values(client: Client, address: str, count: int) -> None:
    """Variables and datasets."""
    for i in range(count):
        variable = Variable(name("variable", i))
        await variable.set(1)
        variable.delete()
        await client.publish_dataset(1, name=name("dataset", i))
        await client.unpublish_dataset(name("dataset", i))


async def queues(client: Client, address: str, count: int) -> None:
    """Queues."""
    for i in range(count):
        queue = await Queue(name("queue", i))
        await queue.put(1)
        await queue.get()
        queue.close()
        queue.close()  # upstream counts one that was awaited twice


async def topics(client: Client, address: str, count: int) -> None:
    """Topics, with a subscription and without."""
    for i in range(count):
        topic = name("topic", i)
        if i % 2:
            client.subscribe_topic(topic, str)
        await client.log_event(topic, {"action": "mine"})
        if i % 2:
            client.unsubscribe_topic(topic)


async def workers(client: Client, address: str, count: int) -> None:
    """Workers, and resources that they have."""
    for begin in range(0, count, 10):
        some = [
            Worker(
                address,
                name=name("worker", i),
                resources={name("resource", i): 1},
                nthreads=1,
                dashboard=False,
            )
            for i in range(begin, min(begin + 10, count))
        ]
        await asyncio.gather(*some)
        await asyncio.gather(*(worker.close() for worker in some))


async def clients(client: Client, address: str, count: int) -> None:
    """Clients."""
    for i in range(count):
        named = name("client", i)
        async with Client(
            address, asynchronous=True, set_as_default=False, name=named
        ) as one:
            await one.submit(increment, i, pure=False)


#: By name.
LOADS: dict[str, Load] = {
    load.__name__: load
    for load in (
        *(keys, prefixes, erred, tags, annotations, types, activities),
        *(locks, values, queues, topics, workers, clients),
    )
}
