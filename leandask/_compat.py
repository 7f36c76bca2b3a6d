"""What leandask uses of `distributed` beyond its public interface, and why.

Everything here can change with an upstream release. Each name has a test in
``tests/test_compat.py`` that fails by that name. The files named are `distributed`'s.
"""

from __future__ import annotations

import heapq
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import click
import dask.utils
import distributed
import distributed.core
import distributed.scheduler
import distributed.utils
from dask.sizeof import sizeof
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


def get_sizer(kind: type) -> Callable[[Any], int]:
    """``sizeof._lookup``, ``sizeof._lazy`` (dask/utils.py): how to measure a class.

    As ``sizeof.dispatch`` does, which would keep every class forever, at 12 kB each.
    """
    for base in kind.__mro__:
        package = str(getattr(base, "__module__", "")).partition(".")[0]
        if package in sizeof._lazy:
            sizeof.dispatch(base)  # registers the classes of that package, once
        if base in sizeof._lookup:
            return cast(Callable[[Any], int], sizeof._lookup[base])
    raise TypeError(f"no size is known of {kind!r}")  # as dispatch does


def set_broker(scheduler: Scheduler, broker: Broker) -> None:
    """``Scheduler._broker`` (scheduler.py): looked up at each use."""
    scheduler._broker = broker


def get_topics(scheduler: Scheduler) -> dict[str, Topic]:
    """``Broker._topics`` (broker.py): the dashboard and cluster dumps read it too."""
    return scheduler._broker._topics


def set_topics(broker: Broker, topics: dict[str, Any]) -> None:
    """``Broker._topics``: its ``__missing__`` makes a topic."""
    broker._topics = cast(Any, topics)


def get_log_handler(scheduler: Scheduler) -> DequeHandler:
    """``ServerNode._deque_handler`` (node.py): the log lines behind ``get_logs``."""
    return scheduler._deque_handler


def set_log_handler(scheduler: Scheduler, handler: DequeHandler) -> None:
    """``ServerNode._deque_handler``: looked up at each ``get_logs``."""
    scheduler._deque_handler = handler


def get_message_log(stream: BatchedSend) -> deque[Any]:
    """``BatchedSend.recent_message_log`` (batched.py): written, never read."""
    return stream.recent_message_log


def set_message_log(stream: BatchedSend, log: deque[Any]) -> None:
    """``BatchedSend.recent_message_log``: looked up at each batch."""
    stream.recent_message_log = log


def get_status_stream(plugin: SchedulerPlugin) -> BatchedSend | None:
    """``WorkerStatusPlugin.bcomm`` (scheduler.py): the stream to a cluster manager."""
    return plugin.bcomm if isinstance(plugin, WorkerStatusPlugin) else None


def get_profile(scheduler: Scheduler) -> deque[Any]:
    """``Server.io_loop.profile`` (core.py): a thread and open pages hold it too."""
    return cast(Any, scheduler.io_loop).profile


def get_running_prefixes(scheduler: Scheduler) -> Mapping[str, int]:
    """``SchedulerState._task_prefix_count_global`` (scheduler.py): processing ones."""
    return scheduler._task_prefix_count_global


def get_owner_of_unknown_durations(scheduler: Scheduler) -> Any:
    """The owner of ``unknown_durations``: stealing; before 2025.2 the scheduler."""
    if hasattr(scheduler, "unknown_durations"):
        return scheduler
    return scheduler.extensions.get("stealing")


def get_background_tasks(scheduler: Scheduler) -> AsyncTaskGroup:
    """``Server._ongoing_background_tasks`` (core.py): also the delayed calls."""
    return scheduler._ongoing_background_tasks


def set_background_tasks(scheduler: Scheduler, tasks: AsyncTaskGroup) -> None:
    """``Server._ongoing_background_tasks``: looked up at each use."""
    scheduler._ongoing_background_tasks = tasks


def share_tasks(group: AsyncTaskGroup, old: AsyncTaskGroup) -> None:
    """``AsyncTaskGroup._ongoing_tasks``: a task leaves the set it was added to."""
    group._ongoing_tasks = old._ongoing_tasks


def forget_handlers() -> None:
    """``core._expects_comm``: a cache that keeps handlers, and so their servers, alive.

    Looking a handler up again takes 0.1 ms.
    """
    distributed.core._expects_comm.cache_clear()


def get_http_prefix(scheduler: Scheduler) -> str:
    """The start of every route's path: ``/``, or ``/prefix/``.

    ``http.utils.get_handlers`` puts it before the paths in each module's ``routes``,
    and stores it nowhere else.
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
    """Whether the scheduler's dashboard, a Bokeh application, exists yet."""
    applications = scheduler.http_application.applications
    return any(hasattr(application, "app_paths") for application in applications)


def add_to_menu(scheduler: Scheduler, page: str) -> None:
    """``dashboard.scheduler.template_variables``: the menu, one list per scheduler.

    It is cached with its scheduler forever, so it is used only if the dashboard exists.
    """
    dashboard: Any = sys.modules.get("distributed.dashboard.scheduler")
    if dashboard is not None and has_pages(scheduler):
        pages = dashboard.template_variables(scheduler).get("pages")
        if isinstance(pages, list) and page not in pages:
            pages.append(page)


def replace_collectors(replace: Callable[[list[Any]], list[Any]]) -> None:
    """``http.scheduler.prometheus.core``: the first request makes the ``COLLECTORS``.

    It registers them for the process; each request sets their scheduler. After the
    first request, the next one makes them again. The module is imported only if
    prometheus_client is installed and a scheduler has the route.
    """
    core: Any = sys.modules.get("distributed.http.scheduler.prometheus.core")
    if core is None or (makers := replace(core.COLLECTORS)) == core.COLLECTORS:
        return
    core.COLLECTORS[:] = makers
    for collector in core.PrometheusHandler._collectors or ():
        with suppress(KeyError):  # it raised when it was registered
            core.prometheus_client.REGISTRY.unregister(collector)
    core.PrometheusHandler._collectors = None


#: Modules that import the functions below by name.
_USERS = [
    *("scheduler", "utils", "profile", "comm.tcp", "comm.ucx"),
    *(f"diagnostics.{name}" for name in ("progress_stream", "task_stream")),
    *(f"dashboard.components.{name}" for name in ("scheduler", "nvml", "rmm")),
]

#: Upstream's functions that cache their result by key, by name. Each new task calls
#: ``scheduler.key_split``, and ``utils.key_split`` in ``key_split_group``. Pages call
#: ``utils.url_escape`` and, with names of functions, ``utils.color_of``, which `toolz`
#: memoizes: here it has a cache that knows its size.
KEY_CACHES: dict[str, Any] = {
    "key_split": dask.utils.key_split,
    "url_escape": distributed.utils.url_escape,
    "color_of": lru_cache(None)(distributed.utils.color_of.__wrapped__),
}

#: Upstream's ``utils.ensure_ip``, which `toolz` memoizes: each comm that opens and each
#: heartbeat asks it for the address of a host. A host that is not cached blocks the
#: event loop until DNS answers, so this has to hold all hosts of a cluster.
HOSTS: Any = lru_cache(10_000)(distributed.utils.ensure_ip.__wrapped__)


def get_key_cache(name: str) -> Any:
    """One of :data:`KEY_CACHES`, as ``distributed.utils`` has it now."""
    present = getattr(distributed.utils, name)
    return present if hasattr(present, "cache_info") else KEY_CACHES[name]


def set_key_cache(name: str, function: Callable[[Any], str]) -> None:
    """Replace one of these functions in the modules that have imported it."""
    for module_name in _USERS:
        module = sys.modules.get(f"distributed.{module_name}")
        for attribute in (name, f"ts_{name}"):  # one page has ``ts_color_of``
            if hasattr(module, attribute):
                setattr(module, attribute, function)


def get_span_metrics(span: Span) -> Any:
    """``Span._cumulative_worker_metrics`` (spans.py): grows with the prefixes."""
    return span._cumulative_worker_metrics


def set_span_metrics(span: Span, metrics: Any) -> None:
    """``Span._cumulative_worker_metrics``: each heartbeat adds to it."""
    span._cumulative_worker_metrics = metrics


def get_span_metadata(span: Span) -> list[Any]:
    """``Span._metadata``: about the collections of each graph of a running span."""
    return [] if span._metadata is None else span._metadata["collections"]


def get_span_code(span: Span) -> dict[Any, None]:
    """``Span._code``: grows with each graph of a running span."""
    return span._code


def get_nthreads_offset(span: Span) -> int:
    """``Span._total_nthreads_offset``: index in the scheduler's history of threads."""
    return span._total_nthreads_offset


def set_nthreads_offset(span: Span, offset: int) -> None:
    """``Span._total_nthreads_offset``: moves when the history is shortened."""
    span._total_nthreads_offset = offset


def get_types(group: TaskGroup) -> dict[str, int]:
    """``TaskCollection._types``: results ever made, by type."""
    return group._types


def rename_type(group: TaskGroup, name: str, other: str) -> None:
    """``TaskCollection._types``: the prefix has the sums of its groups in ``_groups``.

    ``TaskPrefix.remove_group`` subtracts those of a group when its tasks are gone.
    """
    count = group._types.pop(name)
    group._types[other] += count
    if group in group.prefix._groups:
        types = group.prefix._types
        types[other] += count
        types[name] -= count
        if not types[name]:
            del types[name]


def fold_groups(groups: Sequence[TaskGroup]) -> TaskGroup:
    """``TaskCollection._duration_us`` and others: sum many groups up into one."""
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
    """``HeapSet._heap`` (collections.py): discarded entries stay until on top."""
    live = queue._data
    if len(queue._heap) <= 2 * len(live) + 1000:  # not worth the work
        return
    queue._heap[:] = [entry for entry in queue._heap if entry[2]() in live]
    heapq.heapify(queue._heap)
    queue._sorted = False


#: Packages whose commands run a scheduler in a process of its own.
_COMMANDS = ("distributed", "leandask", "dask_mpi")


def is_own_process() -> bool:
    """``cli.dask_scheduler.main`` and others: whether such a command runs here.

    In any other process a scheduler is a part of something else: a notebook, a service.
    """
    context = click.get_current_context(silent=True)
    module = getattr(context and context.command.callback, "__module__", "")
    if module == "__main__":  # python -m distributed.cli.dask_spec
        module = getattr(sys.modules["__main__"].__spec__, "name", "")
    return module.partition(".")[0] in _COMMANDS


@contextmanager
def scheduler_factory(factory: Callable[..., Scheduler]) -> Iterator[None]:
    """``cli.dask_scheduler.Scheduler``: the command looks it up when it starts."""
    import distributed.cli.dask_scheduler as command  # only our command needs it

    module: Any = command
    original = module.Scheduler
    module.Scheduler = factory
    try:
        with warnings.catch_warnings():
            # Before 2026.6 upstream warns for every command whose name ends like this.
            warnings.filterwarnings("ignore", "dask-scheduler is deprecated")
            yield
    finally:
        module.Scheduler = original
