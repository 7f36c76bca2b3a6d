from __future__ import annotations

import copy
import operator
import pickle
from itertools import pairwise

import pytest
from dask import delayed
from distributed import Client, Scheduler, Worker, wait
from distributed.utils_test import gen_test, inc

from leandask import _compat
from leandask.tasks import specs
from leandask.tasks.keys import Keys
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, until

pytestmark = pytest.mark.skipif(
    not _compat.SPEC_KINDS, reason="specs of this release are bytes"
)


def fail(x):
    raise ValueError(x)


def add(x, y):
    return x + y


def double(values):
    return 2 * sum(values)


async def tasks_of(scheduler, n):
    """Return the tasks of a scheduler once there are so many, by key."""
    await until(lambda: len(scheduler.tasks) == n)
    return dict(scheduler.tasks)


def test_keys_are_a_frozenset_of_fewer_bytes():
    few = frozenset({"a", ("b", 1)})
    keys = Keys(few)
    assert keys == few
    assert few == keys
    assert keys == Keys(reversed(keys))
    assert keys != {"a"}
    assert not keys != few
    assert not few != keys
    assert keys != tuple(keys)
    assert (len(keys), hash(keys), {*keys}) == (2, hash(few), few)
    assert "a" in keys
    assert "b" not in keys
    assert keys & {"a": 1}.keys() == few & {"a"} == {"a"}
    assert {"a", 2} - keys == {2}
    assert keys - {"a"} == keys.difference(["a"]) == {("b", 1)}
    assert set().union(keys) == keys.union(()) == keys | {"a"} == few
    assert keys.issubset(few)
    assert keys <= few
    assert repr(keys) == repr(frozenset(keys))
    assert keys.__sizeof__() < few.__sizeof__() / 2
    for double in (pickle.loads(pickle.dumps(keys)), copy.deepcopy(keys)):
        assert type(double) is frozenset
        assert double == few
    with pytest.raises(AttributeError, match="'frozenset' object has no attribute"):
        keys.add("c")


@gen_test()
async def test_tasks_of_a_map_share_their_keys_and_have_no_empty_kwargs_of_their_own():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        futures = c.map(inc, range(10))
        tasks = await tasks_of(s, 10)
        for key, ts in tasks.items():
            assert ts.run_spec.key is ts.key is ts.key
            assert ts.run_spec.dependencies is _compat.NO_KEYS
            assert ts.key == key
        assert len({id(ts.run_spec.kwargs) for ts in tasks.values()}) == 1
        async with Worker(s.address, dashboard=False):
            assert await c.gather(futures) == list(range(1, 11))


@gen_test()
async def test_references_have_the_keys_of_the_tasks_that_they_name():
    async with lean() as s, Client(s.address, asynchronous=True) as c:
        leaves = [delayed(inc)(i, dask_key_name=("leaf", i)) for i in range(4)]
        sums = [
            delayed(add)(a, b, dask_key_name=("sum", i))
            for i, (a, b) in enumerate(pairwise(leaves))
        ]
        total = delayed(double)(sums, dask_key_name="total")
        future = c.compute(total, optimize_graph=False)
        tasks = await tasks_of(s, 8)
        for ts in tasks.values():
            names = {id(dts.key) for dts in ts.dependencies}
            assert {*map(id, ts.run_spec.dependencies)} == names
        sum_ = tasks["sum", 0].run_spec
        for i, ref in enumerate(sum_.args):
            assert ref.key is tasks["leaf", i].key
        (values,) = tasks["total"].run_spec.args
        assert values.dependencies is tasks["total"].run_spec.dependencies
        assert {id(ref.key) for ref in values.args} == {
            id(tasks["sum", i].key) for i in range(3)
        }
        async with Worker(s.address, dashboard=False):
            assert await future == 2 * ((1 + 2) + (2 + 3) + (3 + 4))


@gen_test()
async def test_an_inner_graph_runs_on_a_worker_and_in_this_process():
    da = pytest.importorskip("dask.array")
    for protocol in ("tcp", "inproc"):
        host = "127.0.0.1" if protocol == "tcp" else None
        async with lean(protocol=protocol, host=host) as s:
            async with Client(s.address, asynchronous=True) as c:
                x = da.ones((8, 8), chunks=2)
                future = c.compute((x + x.T).sum(), fifo_timeout=0)
                await until(lambda s=s: s.tasks)
                kinds = {type(ts.run_spec.dependencies) for ts in s.tasks.values()}
                assert Keys in kinds
                async with Worker(s.address, dashboard=False):
                    assert await future == 128


@gen_test()
async def test_what_is_not_known_is_left_alone():
    Task, TaskRef = (_compat.SPEC_KINDS[name] for name in ("Task", "TaskRef"))

    class Special(Task):
        __slots__ = ("more",)

    class Place(dict):
        pass

    async with lean() as s:
        other = "ab".replace("b", "bc")
        nested = Special("n", inc, TaskRef("abc"))
        graph = Place(x=Task("x", inc, TaskRef(other)))
        strange = Task("t", inc, nested, graph, [TaskRef(other)], {"y": 1}, y={})
        many = Task("many", max, *(TaskRef(f"k-{i}") for i in range(specs.FEW + 1)))
        wrong = Task("other name", inc, 1)
        for key, spec in {
            "special": Special("special", inc, 1),
            "t": strange,
            "many": many,
            "wrong": wrong,
            "none": None,
            "text": "abc",
        }.items():
            s.new_task(key, spec, "released")
        specs.share(s.tasks.values())
        assert type(nested._dependencies) is frozenset
        assert type(graph["x"]._dependencies) is frozenset
        assert type(many._dependencies) is frozenset
        assert wrong.key == "other name"
        assert s.tasks["special"].run_spec.kwargs is not wrong.kwargs


def test_kwargs_are_shared_only_if_their_values_are_the_same_objects():
    Task = _compat.SPEC_KINDS["Task"]
    shape = (2, 3)
    values = [0.0, -0.0, 1, 1.0, True, shape, shape, tuple([2, 3])]
    tasks = [Task("a", add, 1, y=value) for value in values]
    sharing = specs.Sharing()
    for task in tasks:
        specs._NODES[Task](task, sharing)
    for task, value in zip(tasks, values, strict=True):
        assert task.kwargs["y"] is value
    assert tasks[5].kwargs is tasks[6].kwargs is not tasks[7].kwargs
    assert len({id(task.kwargs) for task in tasks}) == len(tasks) - 1


def test_references_among_the_kwargs_are_shared():
    Task, TaskRef = (_compat.SPEC_KINDS[name] for name in ("Task", "TaskRef"))
    name, copy_of_name = "a-1", "-".join("a1")
    task = Task("x", add, 1, y=TaskRef(copy_of_name))
    sharing = specs.Sharing()
    sharing.names = {name: name}
    specs._NODES[Task](task, sharing)
    assert task.kwargs["y"].key is name
    assert not sharing.kwargs


def test_what_a_graph_remembers_is_bounded(monkeypatch):
    monkeypatch.setattr(specs, "MEMORY", 10)
    Task = _compat.SPEC_KINDS["Task"]
    sharing = specs.Sharing()
    tasks = [
        Task(f"a-{i}", max, {"x": Task("x", add, 1, y=object())}) for i in range(100)
    ]
    for task in tasks:
        specs._NODES[Task](task, sharing)
    assert (len(sharing.kwargs), len(sharing.graphs)) == (10, 10)


@gen_test()
async def test_a_fault_of_ours_does_not_stop_a_graph(monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr(specs, "Sharing", broken)
    async with lean_cluster() as (_, c):
        assert await c.submit(inc, 1) == 2
    assert "Equal parts of tasks are not shared" in caplog.text


@gen_test()
async def test_an_error_is_recreated_where_the_client_is():
    async with lean() as s, Worker(s.address, dashboard=False):
        async with Client(s.address, asynchronous=True) as c:
            leaf = c.submit(inc, 1, key="leaf")
            future = c.submit(fail, leaf, key="fails", retries=2)
            await wait(future)
            function, dependencies = await c._get_components_from_future(future)
            assert set(function.dependencies) == {"leaf"}
            with pytest.raises(ValueError, match="2"):
                function(dependencies)
            await c.retry([future])
            await wait(future)
            assert future.status == "error"


@gen_test()
async def test_a_scheduler_of_upstream_shares_the_graphs_after_install():
    from leandask import install

    async with (
        Scheduler(**LOCAL) as s,
        Client(s.address, asynchronous=True) as c,
    ):
        before = c.map(inc, range(3), key="before")
        await tasks_of(s, 3)
        install(s)
        after = c.map(inc, range(3), key="after")
        tasks = await tasks_of(s, 6)
        shared = {
            key: ts.run_spec.key is ts.key and not ts.run_spec.kwargs
            for key, ts in tasks.items()
        }
        assert len({id(tasks[f.key].run_spec.kwargs) for f in after}) == 1
        assert all(shared[f.key] for f in after)
        async with Worker(s.address, dashboard=False):
            assert sum(await c.gather(before + after)) == 12


def test_operators_of_keys_work_from_both_sides():
    few, keys = frozenset("abc"), Keys("abc")
    for name in ("and_", "or_", "sub", "xor"):
        operate = getattr(operator, name)
        for other in (frozenset("bcd"), {*"bcd"}):
            for made, expected in (
                (operate(keys, other), operate(few, other)),
                (operate(other, keys), operate(other, few)),
            ):
                assert made == expected
                assert type(made) is type(expected)
        assert operate(keys, Keys("bcd")) == operate(few, frozenset("bcd"))
        with pytest.raises(TypeError):
            operate(keys, ["a"])


def test_keys_change_a_set_in_place():
    changed = also = {"a", "d"}
    changed |= Keys("ab")
    changed -= Keys("bc")
    changed &= Keys("de")
    changed ^= Keys("ef")
    assert changed is also
    assert changed == {"d", "e", "f"}
