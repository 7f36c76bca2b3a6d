"""What leandask touches of `distributed` beyond its public interface, and why.

Everything here can move with an upstream release. Each name has a test in
``tests/test_compat.py`` that fails by that name. Files named are `distributed`'s.
"""

from __future__ import annotations

import heapq
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import dask.utils
import distributed
import distributed.core
import distributed.scheduler
import distributed.utils
from distributed._async_taskgroup import AsyncTaskGroup
from distributed.scheduler import TaskGroup, TaskPrefix, WorkerStatusPlugin

if TYPE_CHECKING:
    from collections import deque

    from distributed import Scheduler
    from distributed.batched import BatchedSend
    from distributed.broker import Broker, Topic
    from distributed.collections import HeapSet
    from distributed.diagnostics.plugin import SchedulerPlugin
    from distributed.spans import Span
    from distributed.utils import DequeHandler


def set_broker(scheduler: Scheduler, broker: Broker) -> None:
    """``Scheduler._broker`` (scheduler.py): read anew at each use."""
    scheduler._broker = broker


def get_topics(scheduler: Scheduler) -> dict[str, Topic]:
    """``Broker._topics`` (broker.py): also read by the dashboard and cluster dumps."""
    return scheduler._broker._topics


def set_topics(broker: Broker, topics: dict[str, Any]) -> None:
    """``Broker._topics``: a mapping whose ``__missing__`` makes a topic."""
    broker._topics = cast(Any, topics)


def get_log_handler(scheduler: Scheduler) -> DequeHandler:
    """``ServerNode._deque_handler`` (node.py): the log lines behind ``get_logs``."""
    return scheduler._deque_handler


def set_log_handler(scheduler: Scheduler, handler: DequeHandler) -> None:
    """``ServerNode._deque_handler``: read anew at each ``get_logs``."""
    scheduler._deque_handler = handler


def get_message_log(stream: BatchedSend) -> deque[Any]:
    """``BatchedSend.recent_message_log`` (batched.py): written, never read."""
    return stream.recent_message_log


def set_message_log(stream: BatchedSend, log: deque[Any]) -> None:
    """``BatchedSend.recent_message_log``: looked up anew at each batch."""
    stream.recent_message_log = log


def get_status_stream(plugin: SchedulerPlugin) -> BatchedSend | None:
    """``WorkerStatusPlugin.bcomm`` (scheduler.py): the stream to a cluster manager."""
    return plugin.bcomm if isinstance(plugin, WorkerStatusPlugin) else None


def get_profile(scheduler: Scheduler) -> deque[Any]:
    """``Server.io_loop.profile`` (core.py): a thread and open pages hold it too."""
    return cast(Any, scheduler.io_loop).profile


def get_running_prefixes(scheduler: Scheduler) -> Mapping[str, int]:
    """``SchedulerState._task_prefix_count_global`` (scheduler.py): names in use."""
    return scheduler._task_prefix_count_global


def get_owner_of_unknown_durations(scheduler: Scheduler) -> Any:
    """Work stealing, or before 2024.11 the scheduler: has ``unknown_durations``."""
    if hasattr(scheduler, "unknown_durations"):
        return scheduler
    return scheduler.extensions.get("stealing")


def get_background_tasks(scheduler: Scheduler) -> AsyncTaskGroup:
    """``Server._ongoing_background_tasks`` (core.py)."""
    return scheduler._ongoing_background_tasks


def set_background_tasks(scheduler: Scheduler, tasks: AsyncTaskGroup) -> None:
    """``Server._ongoing_background_tasks``: read anew at each use."""
    scheduler._ongoing_background_tasks = tasks


def share_tasks(group: AsyncTaskGroup, old: AsyncTaskGroup) -> None:
    """``AsyncTaskGroup._ongoing_tasks``: a task leaves the set that it was put in."""
    group._ongoing_tasks = old._ongoing_tasks


def forget_handlers() -> None:
    """``core._expects_comm``: remembers each handler asked for, and by that its server.

    Asking anew takes 0.1 ms a handler.
    """
    distributed.core._expects_comm.cache_clear()


def get_http_prefix(scheduler: Scheduler) -> str:
    """What the path of every route begins with: ``/``, or ``/prefix/``.

    ``http.utils.get_handlers`` puts it before the paths in the ``routes`` of each
    module, and keeps it nowhere else.
    """
    for rule in scheduler.http_application.wildcard_router.rules:
        module = sys.modules.get(getattr(rule.target, "__module__", ""))
        pattern = getattr(rule.matcher, "regex", re.compile("")).pattern.rstrip("$")
        for path, handler, *_ in getattr(module, "routes", ()):
            below = "/" + path.lstrip("/")
            if handler is rule.target and pattern.endswith(below):
                return cast(str, pattern[: -len(below)]) + "/"
    return "/"


def has_pages(scheduler: Scheduler) -> bool:
    """Whether a scheduler's dashboard is made: a web application of Bokeh's."""
    applications = scheduler.http_application.applications
    return any(hasattr(application, "app_paths") for application in applications)


def add_to_menu(scheduler: Scheduler, page: str) -> None:
    """``dashboard.scheduler.template_variables``: the menu, one list per scheduler.

    It is kept for ever with its scheduler, so that it is looked at only where the
    dashboard has made it.
    """
    dashboard: Any = sys.modules.get("distributed.dashboard.scheduler")
    if dashboard is not None and has_pages(scheduler):
        pages = dashboard.template_variables(scheduler).get("pages")
        if isinstance(pages, list) and page not in pages:
            pages.append(page)


def get_closed_layouts(scheduler: Scheduler, documents: Iterable[Any]) -> list[str]:
    """Names of the plugins ``GraphLayout`` of which no page's document has the graph.

    A document has ``TaskGraph`` (dashboard/components/scheduler.py) among its
    ``components``, and that its ``layout``. Of a page that is closed it stays among the
    plugins until garbage is collected: then ``TaskGraph.__del__`` takes it out.
    """
    module: Any = sys.modules.get("distributed.diagnostics.graph_layout")
    plugins = () if module is None else scheduler.plugins.items()
    layouts = {n: p for n, p in plugins if isinstance(p, module.GraphLayout)}
    if layouts:
        for component in _get_components(documents):
            if hasattr(component, "layout"):
                layouts.pop(component.layout.name, None)
    return [*layouts]


def drop_undrawn(scheduler: Scheduler, documents: Iterable[Any]) -> None:
    """``TaskGraph.update`` (dashboard/components/scheduler.py), of too many tasks.

    Of more than its ``max_items`` it draws none, and takes nothing out of its
    ``layout``. Once they are fewer, it draws all anew if ``invisible_count`` says that
    most of what it shows is gone.
    """
    module: Any = sys.modules.get("distributed.dashboard.components.scheduler")
    if module is None:
        return
    for graph in _get_components(documents):
        if (
            isinstance(graph, module.TaskGraph)
            and len(scheduler.tasks) > graph.max_items
        ):
            layout = graph.layout
            layout.new, layout.new_edges, layout.state_updates = [], [], []
            layout.visible_updates, layout.visible_edge_updates = [], []
            graph.invisible_count = sys.maxsize


def _get_components(documents: Iterable[Any]) -> Iterator[Any]:
    """What pages show, each a component of upstream's: ``Document.components``."""
    for document in documents:
        yield from getattr(document, "components", ())


def add_collector(make: Callable[[Any], Any]) -> None:
    """``http.scheduler.prometheus.core``: ``COLLECTORS`` are made at the first request.

    They are registered then for the process, and told of the scheduler at each request.
    Where that request has been, ours joins those that it made. The module is there if
    prometheus_client is, and a scheduler has the route.
    """
    core: Any = sys.modules.get("distributed.http.scheduler.prometheus.core")
    if core is None or make in core.COLLECTORS:
        return
    core.COLLECTORS.append(make)
    made = core.PrometheusHandler._collectors
    if made:
        collector = make(made[0].server)
        core.PrometheusHandler._collectors = (*made, collector)
        core.prometheus_client.REGISTRY.register(collector)


#: Modules that may have imported one of these already.
_USERS = [
    *("scheduler", "utils", "profile", "comm.tcp", "comm.ucx"),
    *(f"diagnostics.{name}" for name in ("progress_stream", "task_stream")),
    *(f"dashboard.components.{name}" for name in ("scheduler", "nvml", "rmm")),
]
#: Upstream's functions that keep what they gave for each key, by name. Each new task
#: asks ``scheduler.key_split``, and ``utils.key_split`` in ``key_split_group``; the
#: pages of the dashboard ask ``utils.url_escape``, and for the names of functions
#: ``utils.color_of``, which `toolz` memoizes: here as a cache that tells its size.
KEY_CACHES: dict[str, Any] = {
    "key_split": dask.utils.key_split,
    "url_escape": distributed.utils.url_escape,
    "color_of": lru_cache(None)(distributed.utils.color_of.__wrapped__),
}

#: Upstream's ``utils.ensure_ip``, which `toolz` memoizes: every comm that opens asks it
#: for the address of a host, and every heartbeat. A host that is not in here blocks the
#: event loop for as long as DNS takes, so that it has to hold all hosts of a cluster.
HOSTS = lru_cache(10_000)(distributed.utils.ensure_ip.__wrapped__)


def get_key_cache(name: str) -> Any:
    """One of :data:`KEY_CACHES`, as ``distributed.utils`` has it now."""
    present = getattr(distributed.utils, name)
    return present if hasattr(present, "cache_info") else KEY_CACHES[name]


def set_key_cache(name: str, function: Callable[[Any], str]) -> None:
    """Replace one of these functions where the scheduler, comms and pages have it.

    One page has ``color_of`` as ``ts_color_of`` too.
    """
    for module_name in _USERS:
        module = sys.modules.get(f"distributed.{module_name}")
        for attribute in (name, f"ts_{name}"):
            if hasattr(module, attribute):
                setattr(module, attribute, function)


def get_span_metrics(span: Span) -> Any:
    """``Span._cumulative_worker_metrics`` (spans.py): grows with the prefixes."""
    return span._cumulative_worker_metrics


def set_span_metrics(span: Span, metrics: Any) -> None:
    """``Span._cumulative_worker_metrics``: added to at each heartbeat."""
    span._cumulative_worker_metrics = metrics


def shorten_span(span: Span, maxlen: int) -> None:
    """``Span._metadata``, ``Span._code``: grow with each graph of a running span."""
    if span._metadata is not None:
        del span._metadata["collections"][: -maxlen or None]
    for code in [*span._code][: -maxlen or None]:
        del span._code[code]


def get_nthreads_offset(span: Span) -> int:
    """``Span._total_nthreads_offset``: index in the scheduler's history of threads."""
    return span._total_nthreads_offset


def set_nthreads_offset(span: Span, offset: int) -> None:
    """``Span._total_nthreads_offset``: moves along when the history is cut."""
    span._total_nthreads_offset = offset


def fold_groups(groups: Sequence[TaskGroup]) -> TaskGroup:
    """``TaskCollection._duration_us`` and others: one group with the sums of many."""
    total = TaskGroup(f"({len(groups)} finished groups)", TaskPrefix("(finished)"))
    for group in groups:
        for name in ("states", "_all_durations_us", "_types"):
            sums = getattr(total, name)
            for key, number in getattr(group, name).items():
                sums[key] += number
        total._duration_us += group._duration_us
        if hasattr(total, "_size"):  # before 2025.5 the sum of its states
            total._size += len(group)
        total.nbytes_total += group.nbytes_total
    total.start = min((tg.start for tg in groups if tg.start), default=0.0)
    total.stop = max(tg.stop for tg in groups)
    total.span_id = groups[0].span_id
    return total


def compact_heap(queue: HeapSet[Any]) -> None:
    """``HeapSet._heap`` (collections.py): keeps what was discarded until it is on top.

    A thousand entries of that are not worth the work.
    """
    live = queue._data
    if len(queue._heap) <= 2 * len(live) + 1000:
        return
    queue._heap[:] = [entry for entry in queue._heap if entry[2]() in live]
    heapq.heapify(queue._heap)
    queue._sorted = False


@contextmanager
def scheduler_factory(factory: Callable[..., Scheduler]) -> Iterator[None]:
    """Have the command ``dask scheduler`` start what `factory` makes.

    ``cli.dask_scheduler.Scheduler``: the command looks its class up in its module, and
    takes no other way to be told.
    """
    import distributed.cli.dask_scheduler as command  # of use to our command only

    module: Any = command
    original = module.Scheduler
    module.Scheduler = factory
    try:
        with warnings.catch_warnings():
            # Before 2026.6 any command whose name ends so is told to be deprecated.
            warnings.filterwarnings("ignore", "dask-scheduler is deprecated")
            yield
    finally:
        module.Scheduler = original
