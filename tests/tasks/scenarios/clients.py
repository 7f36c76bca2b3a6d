"""What clients see: errors, retries, shared futures."""

from __future__ import annotations

from distributed import Event, Queue, Variable, fire_and_forget, wait
from distributed.client import FutureCancelledError

from tests.helpers.schedulers import until
from tests.tasks.scenarios.cluster import (
    SEEN,
    Flaky,
    inc,
    scenario,
    started,
    wait_for_event,
    wrong,
)


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
    await until(lambda: c.processing() and child.key in c.scheduler.tasks)
    await c.a.cancel([child])  # alone: 2024.8 may not cancel what is cancelled with it
    await until(lambda: child.key not in c.scheduler.tasks and child.cancelled())
    await c.a.cancel(futures)
    await until(lambda: not c.scheduler.tasks)
    await Event("cancelled").set()
    shared = c.a.submit(wait_for_event, 1, "shared", key="shared")
    other = c.b.submit(wait_for_event, 1, "shared", key="shared")
    tasks = c.scheduler.tasks
    await until(lambda: "shared" in tasks and len(tasks["shared"].who_wants) == 2)
    await started("shared").wait()
    await c.a.cancel([shared], force=True)
    try:
        await other
    except FutureCancelledError:
        pass
    await Event("shared").set()


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
