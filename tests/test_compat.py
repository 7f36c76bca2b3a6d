"""Upstream's internals that leandask uses exist; a failing test names what moved."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import logging
import re
import sys
from collections import defaultdict, deque
from functools import lru_cache, partial
from pathlib import Path

import click
import dask
import distributed.scheduler
import distributed.utils
import numpy as np
import pytest
from dask.sizeof import sizeof
from dask.utils import key_split
from distributed import Client, Scheduler, SpecCluster, Worker, core
from distributed.batched import BatchedSend
from distributed.broker import Broker, Topic
from distributed.cli import dask_scheduler, dask_spec
from distributed.collections import HeapSet
from distributed.comm import Comm, tcp
from distributed.core import Server, rpc
from distributed.diagnostics.plugin import SchedulerPlugin, SchedulerUploadFile
from distributed.diagnostics.progress import GroupTiming
from distributed.diagnostics.task_stream import TaskStreamPlugin
from distributed.http.scheduler.prometheus import core as prometheus
from distributed.http.utils import RequestHandler
from distributed.protocol import Serialized
from distributed.protocol import utils as protocol_utils
from distributed.protocol.serialize import families, pickle_loads
from distributed.scheduler import (
    Computation,
    ErredTask,
    TaskGroup,
    TaskPrefix,
    Transition,
    WorkerStatusPlugin,
)
from distributed.spans import Span, SpansSchedulerExtension
from distributed.system_monitor import SystemMonitor
from distributed.utils import DequeHandler, key_split_group, recursive_to_dict
from distributed.utils_test import gen_test
from sortedcontainers import SortedSet
from tornado import iostream

import leandask.cli.scheduler
from leandask import _compat
from leandask.histories import taskstream


def source_of(cls):
    """The source of a class's methods.

    For a whole class inspect parses its file, which fails at times in Python 3.11: "AST
    constructor recursion depth mismatch".
    """
    methods = filter(inspect.isfunction, vars(cls).values())
    return "".join(map(inspect.getsource, methods))


start = partial(
    Scheduler, host="127.0.0.1", dashboard=False, dashboard_address="127.0.0.1:0"
)


def test_each_name_of_compat_has_a_test():
    modules = [value for value in vars(_compat).values() if inspect.ismodule(value)]
    assert len(modules) == 10
    defined = {
        name
        for module in modules
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ or name.isupper()
        if not name.startswith("_") and name != "TYPE_CHECKING"
    }
    assert {*_compat.__all__} == defined | {"AsyncTaskGroup"}
    here = Path(__file__)
    files = [here, *(here.parent / "compat").glob("test_*.py")]
    tests = "".join(file.read_text() for file in files)
    unknown = [n for n in _compat.__all__ if not re.search(rf"\b_compat\.{n}\b", tests)]
    assert not unknown


@gen_test()
async def test_steps_of_taking_a_graph_in():
    parameters = inspect.signature(Scheduler.update_graph).parameters
    assert {"expr_ser", "graph_frames"} & {*parameters}
    assert "internal_priority" in parameters
    assert "self._create_taskstate_from_graph(" in inspect.getsource(
        Scheduler.update_graph
    )
    async with start() as s:
        make = _compat.get_task_maker(s)
        assert "dsk" in inspect.signature(make).parameters
        _compat.set_task_maker(s, make)
        assert s.stream_handlers["update-graph"] == s.update_graph
        # One thread reads graphs and finds the order, so ours is between the two.
        assert distributed.utils._offload_executor._max_workers == 1
        calls = []
        first = asyncio.ensure_future(distributed.utils.offload(calls.append, 1))
        await asyncio.sleep(0)
        await _compat.run_after_reading(lambda: calls.append(2))
        await first
        assert calls == [1, 2]
    message = {"expr_ser": Serialized({}, [b"x"])}
    received = message["expr_ser"]
    copied = _compat.copy_graph(message)
    assert _compat.count_graph_bytes(copied) == 1
    assert _compat.count_graph_bytes({"graph_frames": (b"xy",)}) == 2
    _compat.move_frames(message)
    assert message["expr_ser"].frames == copied["expr_ser"].frames == [b"x"]
    assert not received.frames


def test_sizeof_lookup_and_lazy():
    assert sizeof._lookup[list] is sizeof._lookup[tuple] is sizeof.dispatch(set)
    assert sizeof._lookup[dict] is not sizeof._lookup[list]
    assert isinstance(sizeof._lazy, dict)
    assert _compat.get_sizer(type("New", (dict,), {})) is sizeof._lookup[dict]
    array = np.zeros(1000)
    assert _compat.get_sizer(type(array))(array) == sizeof(array) >= 8000


@gen_test()
async def test_scheduler_broker():
    async with start() as s:
        assert type(s._broker) is Broker
        broker = Broker(5, s)
        _compat.set_broker(s, broker)
        s.log_event("x", 1)
        assert len(broker.get_events("x")) == 1, "Scheduler keeps its first broker"


@gen_test()
async def test_broker_topics():
    async with start() as s:
        s.log_event("x", 1)
        assert type(_compat.get_topics(s)["x"]) is Topic
        assert "_topics" in inspect.getsource(Scheduler._to_dict)
        topics = defaultdict(partial(Topic, maxlen=2))
        _compat.set_topics(s._broker, topics)
        s.log_event("y", 1)
        assert list(topics) == ["y"], "Broker does not look topics up here"


def test_topic_events_count_subscribers():
    topic = Topic(maxlen=2)
    topic.publish((0.0, "msg"))
    assert (list(topic.events), topic.count) == ([(0.0, "msg")], 1)
    assert topic.subscribers == set()


@gen_test()
async def test_server_deque_handler():
    async with start() as s:
        handler = _compat.get_log_handler(s)
        assert type(handler) is DequeHandler
        assert handler in logging.getLogger("distributed.scheduler").handlers
        assert isinstance(handler.deque, deque)
        assert s.get_logs()
        _compat.set_log_handler(s, DequeHandler())
        assert not s.get_logs(), "the node keeps its first handler"


@gen_test()
async def test_io_loop_profile():
    async with start() as s:
        assert isinstance(_compat.get_profile(s), deque)
    assert "io_loop.profile" in inspect.getsource(Scheduler.get_profile)


@gen_test()
async def test_batched_send_recent_message_log():
    stream = BatchedSend(interval="5ms")
    assert isinstance(_compat.get_message_log(stream), deque)
    _compat.set_message_log(stream, log := deque(maxlen=1))
    assert _compat.get_message_log(stream) is log
    assert "self.recent_message_log.append(" in source_of(BatchedSend)


def test_worker_status_plugin_bcomm():
    assert "bcomm" in WorkerStatusPlugin.__annotations__
    plugin = object.__new__(WorkerStatusPlugin)
    plugin.bcomm = stream = object()
    assert _compat.get_status_stream(plugin) is stream
    assert _compat.get_status_stream(SchedulerPlugin()) is None


def test_cli_dask_scheduler_scheduler():
    assert dask_scheduler.Scheduler is Scheduler
    source = inspect.getsource(dask_scheduler.main.callback)
    assert "Scheduler(" in source, "the command no longer looks its class up"
    with _compat.scheduler_factory(dict):
        assert dask_scheduler.Scheduler is dict
    assert dask_scheduler.Scheduler is Scheduler


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (dask_scheduler.main.callback, True),
        (dask_spec.main.callback, True),
        (leandask.cli.scheduler.main.callback, True),
        (lambda: None, False),  # a command of the user's
        (None, False),
    ],
)
def test_cli_commands_run_in_their_context(callback, expected):
    assert not _compat.is_own_process()
    with click.Context(click.Command("name", callback=callback)).scope():
        assert _compat.is_own_process() is expected


@gen_test()
async def test_scheduler_histories():
    async with start() as s:
        for name in ("transition_log", "computations", "erred_tasks"):
            assert isinstance(getattr(s, name), deque), name
        for name in ("stream_comms", "client_comms", "plugins", "extensions"):
            assert isinstance(getattr(s, name), dict), name


@gen_test()
async def test_connections():
    async with start() as s, Client(s.address, asynchronous=True):
        connections = _compat.get_connections(s)
        assert s.client_comms and all(isinstance(each, Comm) for each in connections)
        assert {stream.comm for stream in s.client_comms.values()} <= {*connections}


def test_erred_task_texts():
    fields = set(ErredTask.__dataclass_fields__)
    assert {"exception_text", "traceback_text"} <= fields


def test_transition_ends_with_its_timestamp():
    assert Transition._fields[-1] == "timestamp"


@gen_test()
async def test_task_stream_plugin():
    async with start() as s:
        plugin = TaskStreamPlugin(s)
        assert isinstance(plugin.buffer, deque)
        assert plugin.index == 0
        assert plugin.name == "task-stream"
        assert not hasattr(TaskStreamPlugin, "__slots__")  # instances change class
        assert plugin.collect(None, None, None) == []
        source = source_of(TaskStreamPlugin)
        assert set(re.findall(r"self\.buffer(\W\w+)", source)) <= {
            ".append",
            "[i",
            "[mid",
        }
        parameters = list(inspect.signature(plugin.rectangles).parameters)
        assert parameters[0] == "istart"


@gen_test()
async def test_who_adds_a_task_stream_and_asks_for_it():
    async with start() as s:
        assert {"get_task_stream", "performance_report"} <= set(s.handlers)
        for module in taskstream.STARTERS:
            source = inspect.getsource(importlib.import_module(module))
            assert "add_plugin(TaskStreamPlugin(self" in source
    source = inspect.getsource(distributed.client)
    assert "get_task_stream(start=0, stop=0)  # ensure plugin" in source


def test_a_handler_gets_the_connection_by_its_name():
    assert distributed.core._expects_comm(lambda comm, **kwargs: None)
    assert not distributed.core._expects_comm(lambda **kwargs: None)


def test_clients_warn_of_what_the_topic_of_warnings_has():
    handlers = distributed.Client._default_event_handlers
    with pytest.warns(UserWarning, match="a text"):
        handlers["warn"]((0.0, "a text"))


def test_cluster_dumps_call_to_dict():
    class Shown:
        def _to_dict(self, *, exclude=()):
            return "shown"

    assert recursive_to_dict({"x": Shown()}) == {"x": "shown"}


@gen_test()
async def test_server_blocked_handlers():
    async with Scheduler(
        host="127.0.0.1", dashboard_address="127.0.0.1:0", blocked_handlers=["feed"]
    ) as s:
        assert s.blocked_handlers == ["feed"]


@gen_test()
async def test_extensions_teardown():
    calls = []

    class Extension:
        def teardown(self):
            calls.append(self)

    s = await start()
    s.extensions["mine"] = Extension()
    await s.close()
    assert len(calls) == 1


@gen_test()
async def test_prefixes_metrics_and_bandwidths_are_mappings_that_are_looked_up():
    async with start() as s:
        for name in ("task_prefixes", "cumulative_worker_metrics", "bandwidth_workers"):
            assert isinstance(getattr(s, name), dict), name
        source = inspect.getsource(Scheduler.new_task)
        assert "self.task_prefixes.get(" in source
        assert isinstance(_compat.get_running_prefixes(s), dict)
        assert TaskPrefix("x").groups == set()


@gen_test()
async def test_unknown_durations():
    async with start() as s:
        owner = _compat.get_owner_of_unknown_durations(s)
        assert owner.unknown_durations == {}
        assert s.extensions["stealing"].in_flight_occupancy == {}
        assert s.extensions["stealing"].in_flight_tasks == {}


@gen_test()
async def test_server_ongoing_background_tasks():
    async with start() as s:
        group = _compat.get_background_tasks(s)
        assert type(group) is _compat.AsyncTaskGroup
        assert isinstance(group._ongoing_tasks, set)
        other = _compat.AsyncTaskGroup()
        _compat.share_tasks(other, group)
        group.call_soon(asyncio.sleep, 0)
        assert len(other) == len(group) == 1
        _compat.set_background_tasks(s, other)
        assert _compat.get_background_tasks(s) is other
        for method in (Scheduler.remove_worker, Scheduler.remove_client):
            source = inspect.getsource(method)
            assert "_ongoing_background_tasks.call_later(" in source
            assert "distributed.scheduler.events-cleanup-delay" in source


def test_scheduler_key_split(key_caches):
    assert "key_split(key)" in inspect.getsource(Scheduler.new_task)
    assert "key_split_group(key)" in inspect.getsource(Scheduler.new_task)
    assert "return key_split(x)" in inspect.getsource(key_split_group)
    assert vars(distributed.utils)["key_split"].__name__ == "key_split"
    assert callable(_compat.get_key_cache("key_split").__wrapped__)
    _compat.set_key_cache("key_split", smaller := lru_cache(5)(key_split.__wrapped__))
    assert distributed.scheduler.key_split is smaller
    assert _compat.get_key_cache("key_split") is smaller


def test_scheduler_graph_layout():
    components = pytest.importorskip("distributed.dashboard.components.scheduler")
    source = source_of(components.TaskGraph)
    assert "self.layout = GraphLayout(scheduler)" in source
    assert "self.scheduler.remove_plugin(name=self.layout.name)" in source
    attach = inspect.getsource(sys.modules["distributed.dashboard.components"])
    assert "doc.components.add(component)" in attach


def test_dashboard_components_task_graph_update():
    components = pytest.importorskip("distributed.dashboard.components.scheduler")
    source = inspect.getsource(components.TaskGraph.update)
    assert "if len(self.scheduler.tasks) > self.max_items:" in source
    assert "if self.invisible_count > len(self.node_source.data" in source
    assert "self.layout.reset_index()" in source
    layout = sys.modules["distributed.diagnostics.graph_layout"].GraphLayout
    emptying = inspect.getsource(layout.reset_index)
    for attribute in (
        *("new", "new_edges"),
        *("state_updates", "visible_updates", "visible_edge_updates"),
    ):
        assert f"self.{attribute} = []" in emptying


def test_utils_url_escape():
    assert _compat.KEY_CACHES["url_escape"].cache_parameters()["maxsize"] is None
    assert callable(_compat.get_key_cache("url_escape").__wrapped__)
    source = inspect.getsource(distributed.utils.url_escape.__wrapped__)
    assert "escape.url_escape(url" in source


def test_utils_color_of():
    assert callable(_compat.KEY_CACHES["color_of"].__wrapped__)
    source = inspect.getsource(distributed.utils)
    assert "@toolz.memoize\ndef color_of(x, palette=palette):" in source
    source = inspect.getsource(distributed.diagnostics.task_stream)
    assert "progress_stream import color_of" in source


def test_utils_ensure_ip():
    source = inspect.getsource(distributed.utils)
    assert "@toolz.memoize\ndef ensure_ip(hostname):" in source
    assert _compat.HOSTS.__wrapped__.__name__ == "ensure_ip"
    assert hasattr(tcp, "ensure_ip")


def test_diagnostics_plugin_scheduler_upload_file():
    starting = inspect.getsource(SchedulerUploadFile.start)
    assert "scheduler.upload_file(self.filename, self.data, load=self.load)" in starting
    assert source_of(SchedulerUploadFile).count("self.data") == 2
    registering = inspect.getsource(Scheduler.register_scheduler_plugin)
    started, _, added = registering.partition("await result")
    assert "plugin.start(self)" in started
    assert "self.add_plugin(plugin" in added


def test_computation_code():
    assert isinstance(Computation().code, SortedSet)


def test_span_attributes():
    span = Span(("x",), "id", None, [(0.0, 0), (1.0, 2)])
    assert _compat.get_nthreads_offset(span) == 1
    _compat.set_nthreads_offset(span, 0)
    assert _compat.get_nthreads_offset(span) == 0
    assert "self._total_nthreads_offset, None" in source_of(Span)
    assert _compat.get_span_metrics(span) == {}
    _compat.set_span_metrics(span, metrics := {})
    assert _compat.get_span_metrics(span) is metrics
    source = inspect.getsource(SpansSchedulerExtension.heartbeat)
    assert "span._cumulative_worker_metrics[" in source
    assert span._metadata is None
    assert span._code == {}
    assert _compat.get_span_metadata(span) == []
    span.add_metadata({"collections": ["old"]})
    assert _compat.get_span_metadata(span) is span._metadata["collections"]
    assert _compat.get_span_metadata(span) == ["old"]
    assert _compat.get_span_code(span) is span._code


@gen_test()
async def test_spans_extension():
    async with start() as s:
        spans = s.extensions["spans"]
        assert type(spans) is SpansSchedulerExtension
        assert set(vars(spans)) == {
            "scheduler",
            "spans",
            "root_spans",
            "spans_search_by_name",
            "spans_search_by_tag",
        }
        source = source_of(Scheduler)
        assert 'self.extensions.get("spans")' in source
        assert "self.extensions[name].heartbeat(ws, data)" in source


def test_task_group_sums():
    prefix = TaskPrefix("x")
    group = TaskGroup("x", prefix)
    group.add_duration("compute", 1.0, 3.0)
    group.add_type("int")
    group.update_nbytes(5)
    folded = _compat.fold_groups([group, group])
    assert (folded.duration, folded.nbytes_total, dict(folded._types)) == (
        4.0,
        10,
        {"int": 2},
    )
    assert (folded.start, folded.stop, len(folded)) == (1.0, 3.0, 0)
    # Each number of a group is summed.
    assert set(TaskGroup.__slots__) == {
        "dependencies",
        "last_worker",
        "last_worker_tasks_left",
        "prefix",
        "start",
        "stop",
        "span_id",
    }


def test_task_collection_types():
    prefix = TaskPrefix("x")
    gone, group = TaskGroup("x-1", prefix), TaskGroup("x-2", prefix)
    for name in ("int", "int", "str"):
        group.add_type(name)
        gone.add_type(name)
    assert _compat.get_types(group) is group._types
    prefix.remove_group(gone)
    for each in (gone, group):
        _compat.rename_type(each, "int", "other types")
        assert each.types == {"str", "other types"}
    assert prefix._types == {"str": 1, "other types": 2}
    prefix.remove_group(group)
    assert prefix._types == {}


def test_heap_set_heap_and_data():
    heap = HeapSet(key=len)
    frozen = frozenset("x")
    heap.add(frozen)
    [(_, _, ref)] = heap._heap
    assert ref() is frozen
    assert heap._data == {frozen}
    assert isinstance(heap._sorted, bool)
    others = [frozenset([i]) for i in range(1100)]
    for other in others:
        heap.add(other)
    for other in others:
        heap.discard(other)
    assert len(heap._heap) > 1000
    _compat.compact_heap(heap)
    assert len(heap._heap) == 1
    assert heap.peek() is frozen


@gen_test()
async def test_semaphore_extension():
    async with start() as s:
        extension = s.extensions["semaphores"]
        extension.create("x", 1, 30)
        assert (extension.max_leases, extension.lease_timeouts) == ({"x": 1}, {"x": 30})
        assert {"pending"} <= set(extension.metrics)
        assert extension.leases == {}
        extension.close("x")
        assert extension.max_leases == {}


def test_system_monitor_quantities():
    monitor = SystemMonitor(maxlen=3)
    assert all(isinstance(q, deque) for q in monitor.quantities.values())
    assert monitor.maxlen == 3
    monitor.close()


@gen_test()
async def test_group_timing():
    async with start() as s:
        timing = GroupTiming(s)
        assert timing.name == "group-timing"
        assert (len(timing.time), len(timing.nthreads), timing.compute) == (2, 2, {})


@gen_test()
async def test_the_dashboard_is_connected_to_web_applications():
    source = inspect.getsource(Scheduler.__init__)
    assert (
        "show_dashboard = dashboard or (dashboard is None and dashboard_addr" in source
    )
    assert "distributed.dashboard.scheduler.connect(" in source
    async with start() as s:
        assert s.http_application.applications == []
        assert "find_handler" in vars(type(s.http_application))


@pytest.mark.parametrize(
    ("given", "found"), [("/", "/"), (None, "/"), ("a/b", "/a/b/"), ("/a/b/", "/a/b/")]
)
@gen_test()
async def test_http_prefix(given, found):
    async with start(http_prefix=given) as s:
        assert _compat.get_http_prefix(s) == found
        rules = s.http_application.wildcard_router.rules
        assert any(r.matcher.regex.pattern == f"{found}health$" for r in rules)


def test_http_handlers_get_their_server():
    assert "dask_server" in inspect.signature(RequestHandler.initialize).parameters
    source = inspect.getsource(RequestHandler.initialize)
    assert "self.server = dask_server" in source


@gen_test()
async def test_core_expects_comm():
    async with start() as s, Worker(s.address, dashboard=False):
        assert core._expects_comm.cache_info().currsize
        assert "_expects_comm(handler)" in inspect.getsource(Server._handle_comm)
        _compat.forget_handlers()
        assert not core._expects_comm.cache_info().currsize


@gen_test()
async def test_dashboard_template_variables():
    async with start() as s:
        assert not _compat.has_pages(s)
    async with start(dashboard=True) as s:
        assert _compat.has_pages(s)
        variables = sys.modules["distributed.dashboard.scheduler"].template_variables
        assert variables(s) is variables(s), "each page gets its own variables"
        assert "status" in variables(s)["pages"]
        _compat.add_to_menu(s, "mine")
        _compat.add_to_menu(s, "mine")
        assert variables(s)["pages"].count("mine") == 1


def test_prometheus_collectors(monkeypatch):
    assert isinstance(prometheus.COLLECTORS, list)
    assert hasattr(prometheus.PrometheusHandler, "_collectors")
    source = source_of(prometheus.PrometheusHandler)
    assert "_collector.server = self.server" in source
    assert "collector(self.server) for collector in COLLECTORS" in source
    assert "prometheus_client.REGISTRY.register(" in source
    monkeypatch.setattr(prometheus, "COLLECTORS", [])
    monkeypatch.setattr(prometheus.PrometheusHandler, "_collectors", (object(),))
    _compat.replace_collectors(lambda makers: makers)
    assert prometheus.PrometheusHandler._collectors, "nothing was replaced"
    _compat.replace_collectors(lambda makers: [dict])
    assert prometheus.COLLECTORS == [dict]
    assert prometheus.PrometheusHandler._collectors is None


@gen_test()
async def test_server_digests_max():
    async with start() as s:
        s.periodic_callbacks["tick"].callback()
        assert s.digests_max["tick-duration"] > 0
    source = inspect.getsource(prometheus.SchedulerMetricCollector.collect)
    assert 'self.server.digests_max["tick_duration"]' in source


@gen_test()
async def test_scheduler_remove_worker():
    async with start() as s, Worker(s.address, dashboard=False) as worker:
        assert s.handlers["unregister"] == s.remove_worker
        assert list(s.handlers.values()).count(s.remove_worker) == 1
        removed = []

        async def remove_worker(address, **kwargs):
            removed.append((address, [*kwargs]))

        s.remove_worker = remove_worker
        await s.retire_workers([worker.address], stimulus_id="test")
        assert [address for address, _ in removed] == [worker.address]
        assert "expected" in removed[0][1]
        del s.remove_worker


@gen_test()
async def test_a_plugin_that_fails_to_start_stops_the_scheduler_after_its_preloads():
    class Broken(SchedulerPlugin):
        async def start(self, scheduler):
            raise ValueError("broken")

    source = inspect.getsource(Scheduler.start_unsafe)
    assert source.index("self.preloads.start()") < source.index("plugin.start(self)")
    s = start()
    s.add_plugin(Broken(), name="broken")
    with pytest.raises(RuntimeError, match="Scheduler failed to start"):
        await s


def test_spec_cluster_scheduler_spec():
    source = source_of(SpecCluster)
    assert "self.scheduler_spec = copy.copy(scheduler)" in source
    assert 'self.scheduler_spec["cls"]' in source


def test_spec_cluster_close():
    """``LeanSpecMixin`` overrides it: all ways to close a cluster take it."""
    assert inspect.iscoroutinefunction(SpecCluster._close)
    assert "self._close" in inspect.getsource(SpecCluster.__mro__[1].close)


def test_only_buffers_need_numpy_at_the_start():
    source = inspect.getsource(protocol_utils)
    assert "except ImportError:\n\n    def host_array(" in source


@gen_test()
async def test_server_handle_comm():
    async with start() as s:
        entered = []
        _compat.on_connection(s, entered.append)
        async with rpc(s.address) as r:
            assert (await r.identity())["id"] == s.id
        assert len(entered) == 1, "Server keeps its first _handle_comm"
    source = inspect.getsource(Server.handle_comm)
    assert "call_soon(self._handle_comm, comm)" in source


def test_iostream_write_buffer_and_futures():
    """What tornado does with them is what `DequeOnDemand` can do."""
    source = source_of(iostream.BaseIOStream) + source_of(iostream.IOStream)
    used = set(re.findall(r"_write_futures\.(\w+)", source))
    assert used == {"append", "popleft", "clear"}
    source = source_of(iostream._StreamBuffer)
    assert set(re.findall(r"\bbuffers\.(\w+)", source)) == {"popleft"}
    used = set(re.findall(r"_buffers\.(\w+)", source))
    assert {"append"} <= used <= {"append", "clear"}

    class Stream:
        _write_buffer = iostream._StreamBuffer()
        _write_futures = deque([1])

    stream = Stream()
    _compat.replace_buffers(stream, list)
    assert stream._write_futures == [1]
    assert stream._write_buffer._buffers == [], "_StreamBuffer._buffers is no deque"
    stream._write_futures = stream._write_buffer = None  # as when it is closed
    _compat.replace_buffers(stream, list)
    assert stream._write_futures is stream._write_buffer is None
    _compat.replace_buffers(None, list)
    assert "_write_buffer.append(" in inspect.getsource(tcp.TCP.write)


@gen_test()
async def test_worker_state_memory_unmanaged_history():
    async with start() as s, Worker(s.address, dashboard=False) as w:
        ws = s.workers[w.address]
        assert type(ws._memory_unmanaged_history) is deque
        _compat.replace_memory_samples(ws, list)
        (sample,) = ws._memory_unmanaged_history
        assert sample == (ws.last_seen, sample[1])
    source = inspect.getsource(Scheduler.heartbeat_worker)
    used = set(re.findall(r"_memory_unmanaged_history\.(\w+)", source))
    assert used == {"append", "popleft"}
    whole = inspect.getsource(distributed.scheduler)
    assert whole.count("_memory_unmanaged_history") == 2 + len(
        re.findall("_memory_unmanaged_history", source)
    )


@gen_test()
async def test_reading_of_a_graph(monkeypatch):
    source = inspect.getsource(Scheduler.update_graph)
    assert "_materialize_graph," in source
    assert "offload(dask.order.order, " in re.sub(r"\(\s+", "(", source)
    family = families.get("leandask-graph")
    assert re.search(r"deserialize\((expr_ser.header|graph_header), ", source)
    results = []

    def run(step, *args, **kwargs):
        results.append(step(*args, **kwargs))
        return results[-1]

    unpickled = []

    def unpickle(header, frames):
        unpickled.append(header)
        return pickle_loads(header, frames)

    async with start() as s, Client(s.address, asynchronous=True) as c:
        upstream = s.stream_handlers["update-graph"]

        async def update_graph(**message):
            _compat.mark_graph(message)
            await upstream(**message)

        s.stream_handlers["update-graph"] = update_graph
        for module, name in _compat.STEPS:
            step = getattr(module, name)
            upstreams = getattr(step, "_leandask_step", step)
            # Somebody else's, around upstream's.
            others = functools.wraps(upstreams)(functools.partial(upstreams))
            monkeypatch.setattr(module, name, others)
        _compat.go_around_reading(run, unpickle)
        future = c.compute(dask.delayed(sum)([1, 2]))
        while future.key not in s.tasks:
            await asyncio.sleep(0.01)
        families["leandask-graph"] = family
    assert len(unpickled) == 1
    (tasks, *_), order = results
    assert future.key in tasks
    assert {*order} == {*tasks}
