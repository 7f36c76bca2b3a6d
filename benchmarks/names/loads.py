"""A load of each kind of name that a scheduler may keep.

Those that it keeps by design are not here, as only their user removes them: metadata,
and events, variables, datasets and plugins that are left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import dask
from distributed import (
    Client,
    Event,
    Lock,
    MultiLock,
    Queue,
    Semaphore,
    Variable,
    Worker,
    WorkerPlugin,
    span,
    wait,
)
from distributed.diagnostics.plugin import SchedulerPlugin

from benchmarks.names.inputs import (
    LENGTH,
    Pub,
    each,
    fail,
    make,
    make_submit,
    measure,
    name,
    publish,
)
from benchmarks.tasks import increment

#: Uses the names of some numbers with a client at a scheduler's address.
Load = Callable[[Client, str, Sequence[int]], Awaitable[None]]


async def keys(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Keys: of text, and tuples."""

    async def use(i: int) -> None:
        digits = f"inc-{i:0{LENGTH.get()}}"
        await client.submit(increment, i, key=digits if i % 2 else (digits, 0))

    await each(numbers, use)


async def prefixes(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Prefixes of keys."""

    async def use(i: int) -> None:
        await client.submit(increment, i, key=f"{name('prefix', i)}-{i}")

    await each(numbers, use)


async def watched(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Keys of tasks that a client watches, with workers' names of their types."""
    await client.get_task_stream()

    async def use(i: int) -> None:
        await wait(
            client.submit(make, name("type", i), key=f"{name('watched', i)}-{i}")
        )

    await each(numbers, use)


async def erred(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Prefixes of tasks that erred, and texts of their exceptions."""

    async def use(i: int) -> None:
        text = name("error", i)
        await wait(client.submit(fail, text, key=f"{name('erred', i)}-{i}"))

    await each(numbers, use)


async def tags(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Spans."""

    async def use(i: int) -> None:
        with span(name("span", i)):
            # All tasks of a group that lives belong to its first span.
            future = client.submit(increment, i, key=f"tagged-{i:032x}")
        await future

    await each(numbers, use)


async def annotations(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Annotations."""

    async def use(i: int) -> None:
        with dask.annotate(**{name("annotation", i): name("value", i)}):
            future = client.submit(increment, i, pure=False)
        await future

    await each(numbers, use)


async def codes(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Code that submits tasks."""

    async def use(i: int) -> None:
        submit = make_submit(i)
        with dask.config.set({"distributed.diagnostics.computations.nframes": 1}):
            future = submit(client, increment, i)
        await future

    await each(numbers, use)


async def restrictions(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Workers, hosts and resources that tasks ask for in vain."""

    async def use(i: int) -> None:
        future = client.submit(
            increment,
            i,
            key=f"restricted-{i}",
            workers=[name("worker", i), f"tcp://{name('host', i)}:1"],
            resources={name("resource", i): 1},
        )
        await asyncio.sleep(0.01)
        future.release()

    await each(numbers, use)


async def types(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Types of results."""

    async def use(i: int) -> None:
        await wait(client.submit(make, name("type", i), key=f"make-{i}"))

    await each(numbers, use)


async def activities(client: Client, address: str, numbers: Sequence[int]) -> None:
    """What tasks measured."""

    async def use(i: int) -> None:
        await client.submit(measure, name("activity", i), key=f"measure-{i}")

    await each(numbers, use)


async def locks(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Locks, semaphores, multi-locks and events."""

    async def use(i: int) -> None:
        lock, several = Lock(name("lock", i)), MultiLock([name("several", i)])
        semaphore = await Semaphore(2, name=name("semaphore", i))
        for one in (lock, several, semaphore):
            await one.acquire()
            await one.release()
        event = Event(name("event", i))
        await event.set()
        await event.wait()
        await event.clear()
        if i % 2:
            await semaphore.close()

    await each(numbers, use, at_once=1)  # a lock that nobody has yet may be evicted


async def values(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Variables and datasets."""

    async def use(i: int) -> None:
        future = client.submit(increment, i, pure=False)
        variable = Variable(name("variable", i))
        await variable.set(future)
        await variable.get()
        variable.delete()
        await client.publish_dataset(future, name=name("dataset", i))
        await client.unpublish_dataset(name("dataset", i))

    await each(numbers, use)


async def queues(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Queues."""

    async def use(i: int) -> None:
        queue = await Queue(name("queue", i))
        await queue.put(client.submit(increment, i, pure=False))
        await (await queue.get())
        queue.close()
        queue.close()  # upstream counts one that was awaited twice

    await each(numbers, use)


async def topics(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Topics, with a subscription and without, and texts of events."""

    async def use(i: int) -> None:
        topic = name("topic", i)
        if i % 2:
            client.subscribe_topic(topic, str)
        await client.log_event(topic, {"action": "mine", "text": name("text", i)})
        if i % 4 == 1:  # the others are left by a client that is gone
            client.unsubscribe_topic(topic)

    await each(numbers, use)


async def published(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Topics of ``Pub``, where there is one."""

    async def use(i: int) -> None:
        await client.submit(publish, name("published", i), key=f"publish-{i}")

    if Pub is not None:
        await each(numbers, use)


async def plugins(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Plugins that come and go."""

    async def use(i: int) -> None:
        await client.register_plugin(SchedulerPlugin(), name("plugin", i))
        await client.unregister_scheduler_plugin(name("plugin", i))
        await client.register_plugin(WorkerPlugin(), name("plugin", i))
        await client.unregister_worker_plugin(name("plugin", i))

    await each(numbers, use)


async def workers(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Workers: their resources, metrics, topics, and what they say at their start."""

    async def use(i: int) -> None:
        async with Worker(
            address,
            name=name("worker", i),
            resources={name("resource", i): 1},
            metrics={name("metric", i): int},
            startup_information={name("information", i): int},
            nthreads=1,
            dashboard=False,
        ) as worker:
            worker.log_event(name("of-worker", i), "mine")

    await each(numbers, use)


async def clients(client: Client, address: str, numbers: Sequence[int]) -> None:
    """Clients."""

    async def use(i: int) -> None:
        named = name("client", i)
        async with Client(
            address, asynchronous=True, set_as_default=False, name=named
        ) as one:
            await one.submit(increment, i, pure=False)

    await each(numbers, use)


#: By name.
LOADS: dict[str, Load] = {
    load.__name__: load
    for load in (
        *(keys, prefixes, watched, erred, tags, annotations, codes, restrictions),
        *(types, activities, locks, values, queues, topics, published, plugins),
        *(workers, clients),
    )
}
