"""What tasks run, and how they err, in upstream."""

from __future__ import annotations

from functools import partial

import pytest
from distributed import Client, Scheduler, Worker, wait
from distributed.protocol import Serialized
from distributed.utils_test import gen_test, inc

from leandask import _compat

start = partial(
    Scheduler, host="127.0.0.1", dashboard=False, dashboard_address="127.0.0.1:0"
)


def test_task_spec_kinds_and_no_deps():
    task_spec = pytest.importorskip("dask._task_spec")
    kinds = {"TaskRef", "Alias", "DataNode", "Task", "List", "Tuple", "Set", "Dict"}
    assert {*_compat.SPEC_KINDS} == kinds
    task = task_spec.Task("x", inc, task_spec.TaskRef("y"), z=1)
    assert type(task) is _compat.SPEC_KINDS["Task"]
    assert type(task._dependencies) is frozenset
    assert (type(task.args), task.kwargs) == (tuple, {"z": 1})
    assert task_spec.Task("x", inc, 1)._dependencies is _compat.NO_KEYS
    alias = task_spec.Alias("x", "y")
    assert (alias.key, alias.target, alias.dependencies) == ("x", "y", {"y"})


@gen_test()
async def test_scheduler_generate_taskstates():
    made = []
    async with start() as s, Client(s.address, asynchronous=True) as c:
        _compat.watch_new_tasks(s, made.extend)
        first = c.submit(inc, 1, key="first")
        second = c.submit(inc, first, key="second")
        async with Worker(s.address, dashboard=False):
            assert await second == 3
        assert [ts.key for ts in made] == ["first", "second"]
        assert made[1].dependencies == {made[0]}


@gen_test()
async def test_scheduler_propagate_erred():
    erred = []
    async with start() as s, Client(s.address, asynchronous=True) as c:
        propagate = _compat.get_propagation(s)

        def remember(ts, **kwargs):
            done = propagate(ts, **kwargs)
            erred.append((ts.key, type(ts.exception), ts.exception_text, ts.erred_on))
            return done

        _compat.set_propagation(s, remember)
        async with Worker(s.address, dashboard=False) as w:
            await wait(c.submit(inc, "x", key="bad"))
            ((key, kind, text, erred_on),) = erred
            assert (key, kind, erred_on) == ("bad", Serialized, {w.address})
            assert text.startswith("TypeError(")
