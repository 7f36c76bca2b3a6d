from __future__ import annotations

import asyncio
import gc
import logging
import re
import signal
import sys
from contextlib import asynccontextmanager, contextmanager
from threading import get_ident
from time import time

import dask.config
import pytest
from distributed import (
    Client,
    LocalCluster,
    Scheduler,
    Worker,
    get_client,
    get_task_stream,
    performance_report,
    wait,
)
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.protocol import dumps, loads
from distributed.utils_test import gen_test, inc

import leandask
from leandask.histories import taskbuffer
from leandask.histories.tasks.taskblock import Block
from leandask.records.times import rfc3339
from leandask.serving import loggedtasks
from leandask.serving.performancereport import with_notices
from leandask.serving.report import report_of
from tests.helpers.schedulers import LOCAL, lean, lean_cluster, run_housekeeping, until

TASKS = {"task-stream": 5}
#: Whether `get_task_stream` begins at an index: since 2026.6.
IS_BY_INDEX = hasattr(Scheduler, "get_task_stream_index")
#: What upstream keeps.
MOST = "distributed.scheduler.dashboard.tasks.task-stream-length"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(taskbuffer, "BLOCK", 8)


@pytest.fixture
def told(monkeypatch):
    """The warnings that clients of this process show."""
    from distributed import client

    shown = []
    monkeypatch.setattr(
        client.warnings, "warn", lambda message, *a, **kw: shown.append(str(message))
    )
    return shown


@contextmanager
def most(number):
    """Have upstream keep so many tasks."""
    status = MOST.replace("tasks.", "status.")
    with dask.config.set({MOST: number, status: 1}):
        yield


@asynccontextmanager
async def watching(client):
    """Yield the tasks that `get_task_stream` has once this is closed.

    Before 2026.6 it was not for asynchronous clients; this calls what it calls.
    """
    tasks = []
    if IS_BY_INDEX:
        async with get_task_stream(client=client) as stream:
            yield tasks
        tasks += stream.data
    else:
        await client.get_task_stream(start=0, stop=0)
        start = time() - 1  # workers only estimate the scheduler's time
        yield tasks
        tasks += await client.get_task_stream(start=start)


async def run(client, n=40, function=inc):
    """Run tasks, and return their keys."""
    futures = client.map(function, range(n), key=[f"t{time()}-{i}" for i in range(n)])
    await wait(futures)
    return {future.key for future in futures}


def keys(tasks):
    return {task["key"] for task in tasks}


def watched(scheduler):
    """How many tasks are kept because somebody watches."""
    return report_of(scheduler)["task_stream"]["tasks"]


def fail(i):
    raise ValueError(i)


@gen_test()
async def test_get_task_stream_has_all_tasks_and_they_are_forgotten_after_it(told):
    async with lean_cluster(retention=TASKS) as (s, c):
        async with watching(c) as tasks:
            ran = await run(c) | await run(c, function=fail)
            assert watched(s) >= 75
        assert keys(tasks) == ran
        errors = [task for task in tasks if task["status"] == "error"]
        assert len(errors) == 40
        assert all("exception" in task for task in errors)
        assert report_of(s)["task_stream"]["watchers"] == watched(s) == 0
        assert len(s.plugins["task-stream"].buffer) == 5
    assert told == []


@gen_test()
async def test_the_tasks_of_an_answer_are_not_unpacked(monkeypatch):
    unpacked = []
    unpack = Block.unpack
    monkeypatch.setattr(
        Block, "unpack", lambda self: unpacked.append(self) or unpack(self)
    )
    async with lean_cluster(retention=TASKS) as (s, c):
        async with watching(c) as tasks:
            ran = await run(c, n=400)
            assert report_of(s)["task_stream"]["tasks"] > 390
        assert keys(tasks) == ran
        # By their times, the first of them is looked for.
        assert len(unpacked) <= (0 if IS_BY_INDEX else 8)


@pytest.mark.parametrize("readable", [None, ("dask", "pickle")], ids=str)
@gen_test()
async def test_an_answer_is_the_same_as_upstreams(readable):
    async with lean_cluster(retention=TASKS) as (s, _):
        async with Client(s.address, asynchronous=True, deserializers=readable) as c:
            await c.get_task_stream()
            await run(c)
            await run(c, function=fail)
            upstreams = loads(dumps(list(s.plugins["task-stream"].buffer)))
            assert {task["status"] for task in upstreams} == {"OK", "error"}
            assert await c.get_task_stream() == upstreams


@gen_test()
async def test_a_performance_report_has_all_tasks(tmp_path, told):
    file = tmp_path / "report.html"
    async with lean_cluster(retention=TASKS) as (s, c):
        async with performance_report(file):
            await run(c)
        # The report shows the code of the block, too.
        assert re.findall(r"number of tasks: (\d+)", file.read_text()) == ["40"]
        assert (watched(s), told) == (0, [])


@gen_test()
async def test_nothing_that_a_report_drew_is_kept(tmp_path):
    def n_drawn():
        return [type(each).__name__ for each in gc.get_objects()].count("TabPanel")

    async with lean_cluster(retention=TASKS):
        before = n_drawn()  # of other tests
        async with performance_report(tmp_path / "report.html"):
            pass
        assert n_drawn() <= before


@gen_test()
async def test_windows_of_clients_may_be_nested_and_overlap():
    async with lean_cluster(retention=TASKS) as (s, c):
        async with Client(s.address, asynchronous=True) as other:
            overlapping = watching(other)
            async with watching(c) as outer:
                first = await run(c)
                async with watching(c) as inner:
                    second = await run(c)
                    overlap = await overlapping.__aenter__()
                    third = await run(c)
            fourth = await run(c)
            await overlapping.__aexit__(None, None, None)
        assert keys(outer) >= first | second | third
        assert keys(inner) >= second | third
        assert not keys(inner) & first or not IS_BY_INDEX
        assert keys(overlap) >= third | fourth
        assert watched(s) == 0


@gen_test()
async def test_a_client_that_asks_once_may_ask_again_until_it_leaves(told):
    async with lean_cluster(retention=TASKS) as (s, c):
        assert not await c.get_task_stream()
        begin = time() - 1
        ran = await run(c)
        assert keys(await c.get_task_stream()) == ran
        assert keys(await c.get_task_stream(start="60s")) == ran
        assert keys(await c.get_task_stream(start=begin)) == ran
        assert len(await c.get_task_stream(count=3)) == 3
        assert len(await c.get_task_stream(count=30)) == 30
        assert not await c.get_task_stream(stop=begin)
        assert watched(s) == 35
        await c.close()
        await until(lambda: not s.clients or set(s.clients) == {"fire-and-forget"})
        await run_housekeeping(s)
        assert (watched(s), told) == (0, [])


@gen_test()
async def test_what_is_beyond_upstreams_bound_is_told(told, tmp_path):
    file = tmp_path / "report.html"
    with most(20):
        async with lean_cluster(retention=TASKS) as (_, c):
            async with watching(c) as tasks:
                await run(c)
            assert 12 < len(tasks) <= 20
            await until(lambda: told)
            assert "The task stream is cut" in told[0]
            assert "last 5 tasks (leandask.retention.task-stream)" in told[0]
            async with performance_report(file):
                await run(c)
            head = file.read_text().partition("application/json")[0]
            assert re.search(r"<body>\s*<p[^>]*><b>The task stream is cut: ", head)
            await until(lambda: len(told) == 2)


def figures(tasks):
    """What a log has of tasks too, by key."""
    return {
        task["key"]: (
            task["worker"],
            task["thread"],
            task["status"],
            task.get("nbytes"),
            *[
                pytest.approx(part[end], abs=1.5e-6)
                for part in task["startstops"]
                if part["action"] == "compute"
                for end in ("start", "stop")
            ],
        )
        for task in tasks
    }


@gen_test()
async def test_what_is_beyond_upstreams_bound_comes_from_the_event_log(
    told, tmp_path, monkeypatch
):
    log = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    file = tmp_path / "report.html"
    with most(20), dask.config.set(log):
        async with lean_cluster(retention=TASKS) as (s, c):
            async with watching(c) as tasks:
                ran = await run(c, n=400) | await run(c, function=fail)
                last = await c.get_task_stream(count=3)
            assert keys(tasks) == ran
            kept = figures(last)
            assert {key: figures(tasks)[key] for key in kept} == kept
            assert keys(await c.get_task_stream(count=430)) < ran
            assert len(await c.get_task_stream(count=430)) == 430
            assert told == []
            assert watched(s) <= 20
            async with performance_report(file):
                await run(c, n=50)
            report = file.read_text()
            assert re.findall(r"number of tasks: (\d+)", report) == ["50"]
            assert (told, "<b>The task stream" in report) == ([], False)
            monkeypatch.setattr(loggedtasks, "MOST_UNPACKED", 40)
            async with performance_report(file):
                await run(c, n=100)
            head = file.read_text().partition("application/json")[0]
            (number,) = re.findall(r"The task stream shows (\d+) tasks of the ", head)
            assert 20 < int(number) <= 40
            assert re.search(r"older ones, the last of which ended at 20\S+Z\.", head)
            assert len(keys(s.get_task_stream())) <= 20  # pages have those of memory


@gen_test()
async def test_tasks_from_before_somebody_asked_come_from_the_event_log(told, tmp_path):
    log = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    with dask.config.set(log):
        async with lean_cluster(retention=TASKS) as (_, c):
            ran = await run(c)
            before = await c.get_task_stream(start=time() - 3600)
            assert keys(before) == ran
            assert keys(await c.get_task_stream(start="1 hour", count=3)) < ran
            assert await c.get_task_stream(start=0, stop=0) == ()
            later = await run(c)
            assert keys(await c.get_task_stream(start="1 hour")) == ran | later
    assert told == []


of_objects = pytest.mark.parametrize(
    ("options", "readable"),
    [({"host": None, "protocol": "inproc"}, None), ({}, ("dask", "pickle"))],
    ids=["in the scheduler's process", "no MessagePack"],
)


@asynccontextmanager
async def object_cluster(options, readable):
    """Yield a lean scheduler with a worker, and a client that gets objects."""
    async with (
        lean(retention=TASKS, **options) as s,
        Worker(s.address, dashboard=False),
        Client(s.address, asynchronous=True, deserializers=readable) as c,
    ):
        yield s, c


@pytest.fixture
def unpacking(monkeypatch):
    """Idents of the threads in which blocks of tasks were unpacked."""
    threads = []
    unpack = Block.unpack
    monkeypatch.setattr(
        Block, "unpack", lambda self: threads.append(get_ident()) or unpack(self)
    )
    return threads


@of_objects
@gen_test()
async def test_tasks_of_memory_are_unpacked_in_a_thread(options, readable, unpacking):
    async with object_cluster(options, readable) as (s, c):
        await c.get_task_stream()
        ran = await run(c, n=100)
        assert watched(s) == 95
        asked = asyncio.create_task(c.get_task_stream())
        await until(lambda: unpacking)
        ran_meanwhile = await run(c, n=10)
        assert ran <= keys(await asked) <= ran | ran_meanwhile
        assert get_ident() not in unpacking


@of_objects
@gen_test()
async def test_tasks_of_the_event_log_are_unpacked_in_a_thread(
    options, readable, unpacking, told, tmp_path, monkeypatch
):
    log = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    with most(20), dask.config.set(log):
        async with object_cluster(options, readable) as (_, c):
            ran = await run(c, n=100)
            assert keys(await c.get_task_stream(start=0)) == ran
            assert unpacking and get_ident() not in unpacking
            assert told == []
            monkeypatch.setattr(loggedtasks, "MOST_UNPACKED", 40)
            last = await c.get_task_stream(start=0)
            assert 20 < len(last) <= 40
            for count in (10, 39, 40):
                asked = await c.get_task_stream(start=0, count=count)
                assert len(asked) == count
            assert keys(last) < ran
            await until(lambda: told)
            [notice] = told
            assert f"is cut: it has {len(last)} tasks of the event log" in notice
            [end] = re.findall(
                r"older ones, the last of which ended at (\S+)\.", notice
            )
            assert end < rfc3339(last[0]["startstops"][-1]["stop"])


@gen_test()
async def test_what_is_beyond_the_bounds_of_reading_the_log_is_told(
    told, tmp_path, monkeypatch
):
    log = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    with most(20), dask.config.set(log):
        async with lean_cluster(retention=TASKS) as (_, c):
            ran = await run(c, n=100)
            monkeypatch.setattr(loggedtasks, "MOST_TASKS", 40)
            assert 20 < len(await c.get_task_stream(start=0)) <= 40
            await until(lambda: told)
            assert "Missing are older ones" in told.pop()
            monkeypatch.setattr(loggedtasks, "MOST_TASKS", 1000)
            monkeypatch.setattr(loggedtasks, "MOST_UNPACKED", 60)
            assert keys(await c.get_task_stream(start=0)) == ran
            # Such as with a number that is too large for MessagePack.
            monkeypatch.setattr(taskbuffer.TaskBuffer, "answer", lambda *_: None)
            assert 40 < len(await c.get_task_stream(start=0)) <= 60
            await until(lambda: told)
            assert "Missing are older ones" in told.pop()
            monkeypatch.setattr(loggedtasks, "MOST_SECONDS", -1)
            assert keys(await c.get_task_stream(start=0)) < ran
            await until(lambda: told)
            assert re.search(r"Missing are all from 20\S+Z on", told.pop())


@gen_test()
async def test_without_runs_in_the_log_an_answer_is_cut_as_before(told, tmp_path):
    log = {"leandask.event-log.path": str(tmp_path / "log.jsonl")}
    with most(20), dask.config.set(log | {"leandask.stream.tasks": False}):
        async with lean_cluster(retention=TASKS) as (_, c):
            async with watching(c) as tasks:
                await run(c)
            assert 12 < len(tasks) <= 20
            await until(lambda: told)


@gen_test()
async def test_tasks_from_before_somebody_watched_are_told(told):
    async with lean_cluster(retention=TASKS) as (s, c):
        s.get_task_stream()  # as a page does: it starts the stream
        begin = time()
        await run(c)
        assert len(await c.get_task_stream(count=5)) == 5
        assert len(await c.get_task_stream(start=time() + 60)) == 0
        assert told == []
        late = time() + 60  # workers only estimate the time
        for asked in ({}, {"count": 6}, {"start": begin}, {"stop": late}):
            told.clear()
            assert len(await c.get_task_stream(**asked)) == 5
            await until(lambda: told)


@gen_test()
async def test_pages_show_the_last_tasks_whoever_watches():
    async with lean_cluster(retention=TASKS) as (s, c):
        async with watching(c):
            await run(c)
            plugin = s.plugins["task-stream"]
            # One that took long to unpickle is drawn twice.
            assert len({*plugin.rectangles(istart=0)["key"]}) == 5
            assert len({*plugin.rectangles(istart=38)["key"]}) == 2
            assert report_of(s)["histories"]["task-stream"]["kept"] == 5


@gen_test()
async def test_other_bounds_may_be_set_while_a_client_watches():
    async with lean_cluster(retention=TASKS) as (s, c):
        async with watching(c) as tasks:
            ran = await run(c)
            await leandask.set_retention(c, task_stream=2)
            ran |= await run(c)
            await leandask.set_retention(c, task_stream=50)
            ran |= await run(c)
        assert keys(tasks) == ran
        assert len(s.plugins["task-stream"].buffer) <= 50


@gen_test()
async def test_a_scheduler_that_becomes_lean_while_a_client_watches(told):
    async with (
        Scheduler(**LOCAL) as s,
        Worker(s.address, dashboard=False),
        Client(s.address, asynchronous=True) as c,
    ):
        plugin = TaskStreamPlugin(s)  # as pages hold it
        s.plugins["task-stream"] = plugin
        async with watching(c) as tasks:
            await run(c)
            leandask.install(s, retention=TASKS)
            await run(c)
        assert s.plugins["task-stream"] is plugin
        assert 5 <= len(tasks) < 80
        await until(lambda: told)
        async with watching(c) as tasks:
            ran = await run(c)
        assert keys(tasks) >= ran


@gen_test()
async def test_a_plugin_that_is_added_in_python_keeps_what_it_was_made_for():
    async with lean_cluster(retention=TASKS) as (s, c):
        plugin = TaskStreamPlugin(s, maxlen=30)
        s.add_plugin(plugin)
        begin = time() - 1
        ran = await run(c, n=30)
        assert keys(plugin.collect(start=begin)) == ran == keys(plugin.buffer)
        s.remove_plugin("task-stream")
        assert watched(s) == 0
        s.get_task_stream()
        await run(c)
        assert watched(s) == 0


@pytest.mark.skipif(not IS_BY_INDEX, reason="a window is closed on its connection")
@gen_test()
async def test_a_window_closed_on_another_connection_closes_no_other_clients():
    async with lean_cluster(retention=TASKS) as (s, c):
        later = watching(c)
        async with Client(s.address, asynchronous=True) as other:
            async with watching(other) as tasks:
                ran = await run(other)
                later_tasks = await later.__aenter__()
                # The connection that opened the window is in use when it is closed.
                slow = asyncio.create_task(other.run_on_scheduler(asyncio.sleep, 0.1))
                await asyncio.sleep(0)
            await slow
        await until(lambda: watched(s) == 0 or len(s.clients) < 3)
        await run_housekeeping(s)
        ran_later = await run(c)
        await later.__aexit__(None, None, None)
        assert (keys(tasks), keys(later_tasks)) == (ran, ran_later)
        assert watched(s) == 0


@gen_test()
async def test_a_client_that_opens_windows_all_the_time():
    async with lean_cluster(retention=TASKS) as (s, c):
        for _ in range(3):
            await c.get_task_stream(start=0, stop=0)
        stream = s.plugins["task-stream"]
        for _ in range(2000):
            stream.watch(stream.windows[0].connection)
        assert report_of(s)["task_stream"]["watchers"] == 1
        assert len(stream.windows) == 1000


@gen_test()
async def test_a_task_may_watch():
    def watch():
        with get_task_stream(client=get_client()) as stream:
            get_client().gather(get_client().map(inc, range(40), pure=False))
        return [task["key"] for task in stream.data]

    async with lean_cluster(retention=TASKS) as (s, c):
        watching = c.submit(watch, pure=False)
        assert len(await watching) >= 40
        assert watched(s) == 0


@gen_test()
async def test_workers_of_the_same_process():
    async with (
        LocalCluster(
            processes=False,
            n_workers=1,
            asynchronous=True,
            dashboard_address=":0",
            scheduler_kwargs={},
        ) as cluster,
        Client(cluster, asynchronous=True) as c,
    ):
        leandask.install(cluster.scheduler, retention=TASKS)
        async with watching(c) as tasks:
            ran = await run(c) | await run(c, function=fail)
        assert keys(tasks) == ran
        assert watched(cluster.scheduler) == 0


@asynccontextmanager
async def client_that_watches(address):
    """Run a process with a client that watches, until it is killed."""
    program = (
        "import sys, time\n"
        "from distributed import Client, get_task_stream\n"
        "client = Client(sys.argv[1])\n"
        "with get_task_stream(client=client):\n"
        "    print('watching', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, address, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await process.stdout.readline() == b"watching\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@gen_test()
async def test_what_a_killed_client_watched_is_forgotten():
    async with lean_cluster(retention=TASKS) as (s, c):
        async with client_that_watches(s.address) as process:
            await run(c)
            await run_housekeeping(s)
            assert watched(s) == 35
            process.send_signal(signal.SIGKILL)
            await process.wait()

            async def is_forgotten():
                await run_housekeeping(s)
                return watched(s) == 0

            while not await is_forgotten():
                await asyncio.sleep(0.01)


@gen_test()
async def test_parts_of_a_report_that_begin_later_are_told(told, tmp_path):
    file = tmp_path / "report.html"
    async with lean_cluster(retention={"log-records": 2, "samples": 3}) as (s, _):
        async with performance_report(file):
            for i in range(4):
                logging.getLogger("distributed.scheduler").warning("line %s", i)
                s.monitor.update()
        await until(lambda: told)
        [text] = told
        names = "leandask.retention.samples and leandask.retention.log-records."
        assert text.endswith(f"begin later than this report: see {names}")
        assert text in file.read_text()


def test_notices_are_escaped_and_never_lost():
    report = with_notices("</head>\n<body>\nx", ["a <b>", "c"])
    assert re.fullmatch(r"</head>\n<body>\n<p.*a &lt;b&gt;.*\n<p.*c.*\n\nx", report)
    assert with_notices("other", ["a"]).startswith("\n<p")
    assert with_notices("other", []) == "other"
