"""Holdings: what each history of a scheduler holds, beside its bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from distributed.diagnostics.task_stream import TaskStreamPlugin

from leandask import _compat
from leandask.settings.budget import COSTS

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.settings.retention import Retention


class Holding(TypedDict):
    """What one history holds."""

    #: Entries, and those that ever came, where they are counted.
    kept: int
    seen: int | None
    #: What the entries take, about.
    bytes: int
    #: Entries that one of the holders keeps at most, and bytes of all of them; None is
    #: unbounded.
    bound: int | None
    bound_bytes: int | None
    #: How many have the bound each: topics, connections, or the history alone.
    holders: int


class _Held(NamedTuple):
    kept: int
    seen: int | None = None
    holders: int = 1
    #: Where they are counted.
    nbytes: int | None = None


def holdings_of(scheduler: Scheduler, retention: Retention) -> dict[str, Holding]:
    """Look at every history.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        A lean one.
    retention : Retention
        Bounds in force.

    Returns
    -------
    dict
        By the name of the bound.

    Notes
    -----
    Takes 0.2 ms where there are 1000 topics: they are the only thing that is walked
    through, but for the connections where their messages are kept.
    """
    bounds = {name: getattr(retention, name.replace("-", "_")) for name in COSTS}
    holdings: dict[str, Holding] = {}
    for name, look in _LOOKS.items():
        held = look(scheduler)
        cost, bound = COSTS[name], bounds[name]
        most = bounds[cost.part_of] if cost.part_of else bound
        if most is not None and not cost.part_of:
            most *= cost.nbytes * held.holders
        holdings[name] = Holding(
            kept=held.kept,
            seen=held.seen,
            bytes=held.kept * cost.nbytes if held.nbytes is None else held.nbytes,
            bound=bound,
            bound_bytes=most,
            holders=held.holders,
        )
    return holdings


def _look_at(attribute: str) -> Callable[[Scheduler], _Held]:
    def look(scheduler: Scheduler) -> _Held:
        history = getattr(scheduler, attribute)
        return _Held(len(history), getattr(history, "seen", None))

    return look


def _topics_of(scheduler: Scheduler) -> Any:
    return _compat.get_topics(scheduler)


def _events(scheduler: Scheduler) -> _Held:
    topics = _topics_of(scheduler)
    kept = sum([len(topic.events) for topic in topics.values()])
    published = sum([topic.count for topic in topics.values()])
    counted = None if topics.retention.event_bytes is None else topics.nbytes
    return _Held(kept, topics.published_gone + published, len(topics), counted)


def _topics(scheduler: Scheduler) -> _Held:
    topics = _topics_of(scheduler)
    return _Held(len(topics), topics.seen)


def _messages(scheduler: Scheduler) -> _Held:
    streams: list[Any] = [scheduler.stream_comms, scheduler.client_comms]
    holders = sum(map(len, streams))
    if all(kind.messages == 0 for kind in streams):
        return _Held(0, None, holders)
    logs = [_compat.get_message_log(s) for kind in streams for s in kind.values()]
    return _Held(sum(map(len, logs)), None, holders)


def _log_records(scheduler: Scheduler) -> _Held:
    lines = _compat.get_log_handler(scheduler)
    return _Held(len(lines.deque), getattr(lines, "seen", None))


def _task_stream(scheduler: Scheduler) -> _Held:
    plugin = scheduler.plugins.get(TaskStreamPlugin.name)
    if not isinstance(plugin, TaskStreamPlugin):  # before anyone has asked for it
        return _Held(0, 0)
    return _Held(len(plugin.buffer), plugin.index)


def _event_bytes(scheduler: Scheduler) -> _Held:
    topics = _topics_of(scheduler)
    if topics.retention.event_bytes is None:  # then no event is measured
        return _Held(_events(scheduler).kept * COSTS["events"].nbytes)
    return _Held(topics.nbytes)


def _spans(scheduler: Scheduler) -> _Held:
    extension = scheduler.extensions.get("spans")
    kept = len(getattr(extension, "spans", ()))
    evicted = getattr(extension, "evicted", None)
    return _Held(kept, None if evicted is None else kept + evicted)


def _key_cache(scheduler: Scheduler) -> _Held:
    info = _compat.get_key_cache("key_split").cache_info()
    return _Held(info.currsize, info.misses)


def _samples(scheduler: Scheduler) -> _Held:
    monitor = scheduler.monitor
    return _Held(len(monitor.quantities["time"]), monitor.count)


def _profile(scheduler: Scheduler) -> _Held:
    return _Held(len(_compat.get_profile(scheduler)))


def _departed(scheduler: Scheduler) -> _Held:
    departed: Any = _compat.get_background_tasks(scheduler)
    return _Held(len(departed.waiting), departed.seen)


def _locks(scheduler: Scheduler) -> _Held:
    extension = scheduler.extensions.get("semaphores")
    if extension is None:
        return _Held(0, 0)
    return _Held(len(extension.max_leases), getattr(extension.max_leases, "seen", None))


#: How to look at each history. ``error-length`` is none: it is a part of another.
_LOOKS: dict[str, Callable[[Scheduler], _Held]] = {
    "transition-log": _look_at("transition_log"),
    "events": _events,
    "topics": _topics,
    "messages": _messages,
    "log-records": _log_records,
    "computations": _look_at("computations"),
    "erred-tasks": _look_at("erred_tasks"),
    "task-stream": _task_stream,
    "event-bytes": _event_bytes,
    "spans": _spans,
    "task-prefixes": _look_at("task_prefixes"),
    "key-cache": _key_cache,
    "samples": _samples,
    "profile": _profile,
    "departed": _departed,
    "locks": _locks,
}
