"""Bytes of an entry of each history: as they are, and as leandask reports them.

Run ``python -m benchmarks.entries``. A load fills the histories of a scheduler. Then
each is emptied in turn, and the bytes in use that this frees are counted. Entries with
long texts or errors take more, and are reported with more.
"""

from __future__ import annotations

from typing import Any

from distributed import Client, Semaphore, span, wait

from benchmarks.harness.cluster import Cluster, be_quiet
from benchmarks.harness.inuse import in_use
from benchmarks.names.inputs import each
from benchmarks.scenarios import clients_come_and_go
from benchmarks.tasks import fail, increment
from leandask.settings.budget import COSTS

#: Of fewer entries, what they free says too little about one of them.
FEWEST = 10
#: Parts of another history, which is emptied itself.
PARTS = ("error-length", "event-bytes")


async def fill(client: Client, address: str) -> None:
    """Use many names of functions, spans, topics and locks; fail, come and go."""
    await client.get_task_stream(count=1)  # from here on there is one

    async def use_semaphore(i: int) -> None:
        async with await Semaphore(1, name=f"semaphore-{i}"):
            pass

    async def use_function(i: int) -> None:
        with span(f"span-{i}"):
            future = client.submit(increment, i, key=f"function_{i}-{i:032x}")
        await future
        for topic in (f"topic-{i}", f"topic-{i % 10}", "topic"):
            await client.log_event(topic, {"action": "mine", "text": f"event {i}"})

    await each(range(2000), use_semaphore)
    await wait(client.map(fail, range(50)))
    await clients_come_and_go(address, 50)
    await each(range(1000), use_function)


async def empty(name: str, dask_scheduler: Any = None) -> tuple[int, int, int]:
    """Empty a history as far as it can be, and count what this frees.

    Returns entries, bytes in use, and bytes that are not reported any more.
    """
    from leandask.settings.config import bounds_schema

    extension = dask_scheduler.extensions["leandask"]

    async def look() -> tuple[int, int, int]:
        nbytes = await in_use(dask_scheduler)
        history = extension.report()["histories"][name]
        return history["kept"], nbytes, history["bytes"]

    before = await look()
    extension.set_retention({name: bounds_schema()[name]["minimum"]})
    kept, nbytes, reported = await look()
    return before[0] - kept, before[1] - nbytes, before[2] - reported


def measure() -> dict[str, tuple[int, int, int]]:
    """Return what :func:`empty` does of each history: of three schedulers, the median.

    Caches of others, too, may shrink while a history is emptied.
    """
    fills = [_measure_once() for _ in range(3)]
    return {name: sorted(fill[name] for fill in fills)[1] for name in fills[0]}


def _measure_once() -> dict[str, tuple[int, int, int]]:
    cluster = Cluster("leandask", 2)
    try:
        with cluster.client.as_current():
            cluster.client.sync(fill, cluster.client, cluster.address)
        cluster.ask(empty, name="profile")  # what the first call makes stays
        names = [name for name in COSTS if name not in PARTS]
        return {name: cluster.ask(empty, name=name) for name in names}
    finally:
        cluster.close()


def main() -> None:
    """Measure, and print a table in Markdown."""
    be_quiet()
    print("| history | entries | bytes of each | as reported |")
    print("|---|---:|---:|---:|")
    total = [0, 0]
    for name, (count, *sizes) in measure().items():
        total = [a + b for a, b in zip(total, sizes, strict=True)]
        if count >= FEWEST:
            each = " | ".join(f"{size / count:.0f}" for size in sizes)
            print(f"| `{name}` | {count} | {each} |")
    print(f"| all, kB | | {' | '.join(f'{size / 1000:.0f}' for size in total)} |")


if __name__ == "__main__":
    main()
