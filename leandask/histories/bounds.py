"""The bounded histories of a scheduler: one entry for each.

A new history needs a module, an entry here, its default and its schema in the two YAML
files, and a test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from leandask import _compat
from leandask.histories import (
    departed,
    history,
    locks,
    loglines,
    lru,
    monitor,
    prefixes,
    taskstream,
)
from leandask.histories.history import Held, Plugins
from leandask.histories.names import Limit
from leandask.histories.spans import computations, spans
from leandask.histories.tasks.erredtasks import ErredTasks
from leandask.histories.tasks.transitionlog import TransitionLog
from leandask.histories.topics import broker
from leandask.settings.budget import COSTS, Cost
from leandask.settings.retention import Retention, in_force

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.records.stream import RecordStream


class Bound(NamedTuple):
    """A history: how it is bounded and read, and what it costs.

    Each function is called with the scheduler, and with the bounds in force.
    """

    #: Name of the bound, below ``leandask.retention``.
    name: str
    #: Sets another bound, and evicts what is beyond it.
    resize: Callable[[Any, Retention], object] | None = None
    #: Puts our container in the place of upstream's, whose entries move over. It gets
    #: the stream too. None: `resize` does this.
    install: Callable[[Any, Retention, RecordStream], object] | None = None
    #: Counts what the history holds; None for a bound that is a part of another.
    look: Callable[[Any], Held] | None = None
    #: Forgets what is gone or beyond the bound, in each round of housekeeping.
    forget: Callable[[Any, Retention], Iterator[None] | None] | None = None

    @property
    def cost(self) -> Cost:
        """Bytes of an entry, and the share of a budget, as the schema has them."""
        return COSTS[self.name]


class Holding(TypedDict):
    """What one history holds, next to its bound."""

    #: Entries, and entries ever added, where they are counted.
    kept: int
    seen: int | None
    #: Approximate bytes of the entries.
    bytes: int
    #: Entries that one holder keeps, and bytes of all holders; None is unbounded.
    bound: int | None
    bound_bytes: int | None
    #: How many have this bound: each topic, each connection, or the history alone.
    holders: int


def install(scheduler: Scheduler, stream: RecordStream) -> None:
    """Bound every history of a scheduler that has the bounds as its ``retention``."""
    bounds = in_force(scheduler)
    for entry in BOUNDS:
        if entry.install is not None:
            entry.install(scheduler, bounds, stream)
        elif entry.resize is not None:
            entry.resize(scheduler, bounds)


def resize(scheduler: Scheduler) -> None:
    """Resize every history to its bound in force."""
    bounds = in_force(scheduler)
    for entry in BOUNDS:
        if entry.resize is not None:
            entry.resize(scheduler, bounds)


def look(scheduler: Scheduler) -> dict[str, Holding]:
    """Count what every history holds, by the name of its bound.

    It takes 0.2 ms with 1000 topics. It iterates over the topics and, where their
    messages are kept, the connections.
    """
    bounds = in_force(scheduler).as_dict()
    holdings: dict[str, Holding] = {}
    for entry in BOUNDS:
        if entry.look is None:
            continue
        held, cost = entry.look(scheduler), entry.cost
        most = bounds[cost.part_of or entry.name]
        if most is not None and not cost.part_of:
            # What is sent as a number has 64 bits.
            most = min(most * cost.nbytes * held.holders, sys.maxsize)
        holdings[entry.name] = Holding(
            kept=held.kept,
            seen=held.seen,
            bytes=held.kept * cost.nbytes + held.weight
            if held.nbytes is None
            else held.nbytes,
            bound=bounds[entry.name],
            bound_bytes=most,
            holders=held.holders,
        )
    return holdings


def forget_jobs(scheduler: Scheduler) -> list[Callable[[], Iterator[None] | None]]:
    """Return what the histories do in each round of housekeeping."""

    def run(
        forget: Callable[[Any, Retention], Iterator[None] | None],
    ) -> Iterator[None] | None:
        return forget(scheduler, in_force(scheduler))

    return [partial(run, entry.forget) for entry in BOUNDS if entry.forget is not None]


def _both(bounds: Retention, name: str) -> tuple[int | None, Limit | None]:
    """Return the entries that a history keeps, and the bytes of them."""
    return bounds.as_dict()[name], Limit.of(bounds, name)


def _look_at(attribute: str) -> Callable[[Any], Held]:
    """Return a function that counts a history in an attribute of the scheduler."""

    def look(s: Any) -> Held:
        entries = getattr(s, attribute)
        seen, weight = getattr(entries, "seen", None), getattr(entries, "weight", 0)
        nbytes = getattr(entries, "nbytes", None)
        return Held(len(entries), seen, nbytes=nbytes, weight=weight)

    return look


def _install_transition_log(s: Any, bounds: Retention, stream: RecordStream) -> None:
    s.transition_log = TransitionLog(
        s.transition_log, *_both(bounds, "transition-log"), stream.transition
    )


def _resize_transition_log(s: Any, bounds: Retention) -> None:
    s.transition_log = s.transition_log.resized(*_both(bounds, "transition-log"))


def _resize_erred_tasks(s: Any, bounds: Retention) -> None:
    s.erred_tasks = ErredTasks(
        s.erred_tasks, *_both(bounds, "erred-tasks"), bounds.error_length
    )


def _install_plugins(s: Any, bounds: Retention, stream: RecordStream) -> None:
    s.plugins = Plugins(s.plugins, partial(_bound_plugin, s))


def _bound_plugin(s: Any, plugin: Any) -> None:
    bounds = in_force(s)
    taskstream.adopt(plugin, *_both(bounds, "task-stream"))
    if connection := _compat.get_status_stream(plugin):
        history.resize_messages(connection, bounds.messages)


#: In the order in which they are installed: that of the bounds in the configuration.
BOUNDS = (
    Bound(
        "transition-log",
        install=_install_transition_log,
        resize=_resize_transition_log,
        look=_look_at("transition_log"),
    ),
    Bound("events", look=broker.look_at_events),  # the topics have its bound
    Bound(
        "topics",
        install=lambda s, b, stream: broker.install(s, stream),
        resize=lambda s, b: broker.topics_of(s).resize(*_both(b, "topics")),
        look=broker.look,
        forget=lambda s, b: broker.topics_of(s).evict_surplus(),
    ),
    Bound(
        "messages",
        install=lambda s, b, stream: history.install_connections(
            s, b.messages, on_leave=partial(broker.forget_subscriber, s)
        ),
        resize=lambda s, b: history.resize_connections(s, b.messages),
        look=history.look_at_messages,
    ),
    Bound(
        "log-records",
        install=lambda s, b, stream: loglines.install(s, *_both(b, "log-records")),
        resize=lambda s, b: loglines.resize(s, *_both(b, "log-records")),
        look=loglines.look,
    ),
    Bound(
        "computations",
        resize=lambda s, b: computations.install(s, *_both(b, "computations")),
        look=_look_at("computations"),
    ),
    Bound("erred-tasks", resize=_resize_erred_tasks, look=_look_at("erred_tasks")),
    Bound("error-length"),  # the erred tasks have it
    Bound(
        "task-stream",
        install=_install_plugins,
        resize=lambda s, b: s.plugins.resize(),
        look=taskstream.look,
        forget=lambda s, b: taskstream.forget(s),
    ),
    Bound("event-bytes", look=broker.look_at_event_bytes),  # the topics have it
    Bound(
        "spans",
        install=lambda s, b, stream: spans.install(
            s, *_both(b, "spans"), b.task_prefixes
        ),
        resize=lambda s, b: spans.resize(s, *_both(b, "spans"), b.task_prefixes),
        look=spans.look,
        forget=lambda s, b: spans.forget(s),
    ),
    Bound(
        "task-prefixes",
        install=lambda s, b, stream: prefixes.install(s, *_both(b, "task-prefixes")),
        resize=lambda s, b: prefixes.resize(s, *_both(b, "task-prefixes")),
        look=prefixes.look,
        forget=lambda s, b: prefixes.forget(s),
    ),
    Bound(
        "key-cache",
        install=lambda s, b, stream: lru.install_key_caches(b.key_cache),
        resize=lambda s, b: lru.resize_key_caches(b.key_cache),
        look=lambda s: lru.look_at_key_caches(),
        forget=lambda s, b: lru.clear_key_caches(b.key_cache),
    ),
    Bound(
        "samples",
        resize=lambda s, b: monitor.resize_samples(s.monitor, b.samples),
        look=lambda s: Held(len(s.monitor.quantities["time"]), s.monitor.count),
    ),
    Bound(
        "profile",
        resize=lambda s, b: monitor.evict_stacks(s, b.profile),
        look=lambda s: Held(len(_compat.get_profile(s))),
        forget=lambda s, b: monitor.evict_stacks(s, b.profile),
    ),
    Bound(
        "departed",
        install=lambda s, b, stream: departed.install(s, *_both(b, "departed")),
        resize=lambda s, b: departed.resize(s, *_both(b, "departed")),
        look=departed.look,
    ),
    Bound(
        "locks",
        install=lambda s, b, stream: locks.install(s, *_both(b, "locks")),
        resize=lambda s, b: locks.resize(s, *_both(b, "locks")),
        look=locks.look,
        forget=lambda s, b: locks.forget(s),
    ),
)
