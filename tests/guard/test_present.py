from __future__ import annotations

import asyncio

import pytest
from distributed import Client, Security
from distributed.utils_test import gen_test, inc

from leandask.guard.present import SAMPLE_TASKS, TLS_BYTES, present_of
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until

KB = 1000


class UnhashableType(type):
    """The type of classes that no set or cache can have."""

    def __eq__(cls, other):
        raise TypeError

    __hash__ = None


class Unhashable(metaclass=UnhashableType):
    pass


class SecretiveType(type):
    """The type of classes that tell nothing of themselves at a scheduler."""

    def __getattribute__(cls, name):
        if Proxy.is_at_scheduler:
            raise OSError(name)
        return super().__getattribute__(name)


class Secretive(metaclass=SecretiveType):
    pass


class Proxy:
    """Asks for what it stands for as soon as it is asked for its class or size."""

    is_at_scheduler = False

    def _ask(self):
        if self.is_at_scheduler:
            raise OSError("nothing that it stands for is here")
        return Proxy

    __class__ = __sizeof__ = property(_ask)


class Arguments:
    """Objects of users that run code of theirs, or can't be asked anything."""

    def __init__(self):
        self.objects = [Proxy(), Unhashable(), Secretive()]

    def __reduce__(self):
        return Arguments, ()


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
        assert 10 * KB < live["bytes"] / n_tasks < 15 * KB
        futures.clear()
        while s.tasks:
            await asyncio.sleep(0.01)
        assert present_of(s)["tasks"]["count"] == 0


@gen_test()
async def test_tasks_do_not_count_again_as_what_their_client_has():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        before = present_of(s)
        futures = c.map(inc, range(20_000))
        while len(s.tasks) < len(futures):
            await asyncio.sleep(0.01)
        after = present_of(s)
        assert after["tasks"]["bytes"] - before["tasks"]["bytes"] > 10_000 * KB
        for name in ("clients", "connections"):
            assert after[name]["bytes"] < before[name]["bytes"] + 200 * KB


@gen_test()
async def test_no_code_of_the_objects_in_tasks_runs(monkeypatch):
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        future = c.submit(id, Arguments(), key="task")
        await until(lambda: s.tasks)
        monkeypatch.setattr(Proxy, "is_at_scheduler", True)
        assert present_of(s)["tasks"]["count"] == 1
        del future
