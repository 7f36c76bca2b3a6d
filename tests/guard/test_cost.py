"""What is learned of messages, and from which ones."""

from __future__ import annotations

import pytest
from distributed import Client
from distributed.utils_test import gen_test, inc

from leandask.guard.cost import MessageCost
from tests.helpers.guards import guard_of
from tests.helpers.schedulers import lean, until

MIB = 2**20
#: Bytes of the frames of a message, of which the first is its body.
FRAMES = (MIB, MIB)
#: Tasks whose keys take 2 MB in the body of a message.
MANY = 20_000


def expected_of(scheduler):
    """Return the bytes that a scheduler expects a message to take."""
    graph_guard = scheduler.stream_handlers["update-graph"].__self__
    return graph_guard.message_cost.expect(FRAMES)


async def send(scheduler, client, n_tasks):
    """Send a graph, and wait until it was taken in."""
    futures = client.map(inc, range(n_tasks), pure=False)
    await until(lambda: futures[-1].key in scheduler.tasks)
    return futures


@gen_test(timeout=60)
async def test_a_large_graph_tells_what_messages_take():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        guard_of(s).set({"limit": "1 TiB"})
        before = expected_of(s)
        futures = await send(s, c, MANY)
        assert expected_of(s) != before
        del futures


@gen_test()
async def test_a_message_with_much_data_and_few_keys_tells_nothing():
    async with lean() as s:
        cost, guard = MessageCost(), guard_of(s)
        before = cost.expect(FRAMES)
        cost.begin("client", (200, 8 * MIB), guard)
        cost.end("client", guard)
        assert cost.expect(FRAMES) == before


@pytest.mark.parametrize("is_same", [True, False])
@gen_test(timeout=60)
async def test_a_graph_tells_nothing_of_a_message_before_it(is_same):
    async with (
        lean() as s,
        Client(s.address, asynchronous=True) as first,
        Client(s.address, asynchronous=True) as other,
    ):
        guard_of(s).set({"limit": None})  # nothing is learned meanwhile
        futures = await send(s, first, MANY)
        guard_of(s).set({"limit": "1 TiB"})
        before = expected_of(s)
        futures += await send(s, first if is_same else other, 1)
        assert expected_of(s) == before
        del futures
