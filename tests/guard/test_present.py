from __future__ import annotations

import asyncio

import pytest
from distributed import Client, Security
from distributed.utils_test import gen_test, inc

from leandask.guard.present import OVERHEAD, SAMPLE_TASKS, TLS_BYTES, present_of
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until

KB = 1000


@gen_test()
async def test_the_present_is_counted():
    async with lean_cluster() as (s, c):
        future = c.submit(inc, 1)
        await future
        present = present_of(s)
        assert {name: live["count"] for name, live in present.items()} == {
            "tasks": 1,
            "workers": 1,
            "clients": len(s.clients),
            "connections": len(s._comms),
        }
        assert all(500 < live["bytes"] < 200 * KB for live in present.values())


@pytest.mark.parametrize("protocol", ["tcp://", "tls://"])
@gen_test()
async def test_what_openssl_holds_of_connections_counts(protocol, monkeypatch):
    security = Security.temporary() if protocol == "tls://" else Security()
    async with (
        lean(**LOCAL | {"protocol": protocol, "security": security}) as s,
        Client(s.address, security=security, asynchronous=True),
    ):
        counted = present_of(s)["connections"]
        monkeypatch.setattr("leandask.guard.present.TLS_BYTES", 0)
        encrypted = counted["bytes"] - present_of(s)["connections"]["bytes"]
        is_tls = protocol == "tls://"
        assert encrypted == is_tls * counted["count"] * TLS_BYTES


@gen_test()
async def test_what_each_task_has_counts_and_what_they_share_does_not():
    def shared(x, text="x" * 500 * KB):
        return x

    async with lean() as s, Client(s.address, asynchronous=True) as c:
        n_tasks = 3 * SAMPLE_TASKS + 7
        own = [bytes([i]) * 10 * KB for i in range(n_tasks)]
        futures = c.map(shared, own, key=[("shared", i) for i in range(n_tasks)])
        while len(s.tasks) < n_tasks:
            await asyncio.sleep(0.01)
        live = present_of(s)["tasks"]
        assert live["count"] == n_tasks
        assert 10 * KB < live["bytes"] / n_tasks / OVERHEAD < 15 * KB
        futures.clear()
        while s.tasks:
            await asyncio.sleep(0.01)
        assert present_of(s)["tasks"]["count"] == 0


@gen_test()
async def test_what_clients_want_counts_once():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        await until(lambda: c.id in s.clients)
        before = present_of(s)
        s.clients[c.id].wants_what.update([lambda: None for _ in range(100_000)])
        after = present_of(s)
        s.clients[c.id].wants_what.clear()
        assert after["tasks"]["bytes"] - before["tasks"]["bytes"] > 2 * 2**20
        assert after["clients"]["bytes"] - before["clients"]["bytes"] < 2**20
