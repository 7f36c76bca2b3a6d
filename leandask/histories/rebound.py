"""Rebound: other bounds for the histories of a scheduler that is lean already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leandask import _compat
from leandask.histories.caches import bound_key_caches
from leandask.histories.history import ErredTasks, History
from leandask.histories.monitor import bound_samples
from leandask.histories.profile import bound_profile
from leandask.histories.spans import LeanSpans

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.settings.retention import Retention


def rebound(scheduler: Scheduler, retention: Retention) -> None:
    """Set the bounds of all histories, and forget what is beyond them.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        A lean one.
    retention : Retention
        Bounds in force from now on.
    """
    lean: Any = scheduler
    lean.transition_log = lean.transition_log.resized(retention.transition_log)
    lean.computations = History(lean.computations, retention.computations)
    lean.erred_tasks = ErredTasks(
        lean.erred_tasks, retention.erred_tasks, retention.error_length
    )
    lean.plugins.resize(retention.task_stream, retention.messages)
    for streams in (lean.stream_comms, lean.client_comms):
        streams.resize(retention.messages)
    topics: Any = _compat.get_topics(scheduler)
    topics.rebound(retention)
    log_lines: Any = _compat.get_log_handler(scheduler)
    log_lines.resize(retention.log_records)
    lean.task_prefixes.resize(retention.task_prefixes)
    lean.cumulative_worker_metrics.resize(retention.task_prefixes)
    spans = scheduler.extensions.get("spans")
    if isinstance(spans, LeanSpans):
        spans.resize(retention.spans, retention.task_prefixes)
    if "semaphores" in scheduler.extensions:
        scheduler.extensions["semaphores"].max_leases.resize(retention.locks)
    departed: Any = _compat.get_background_tasks(scheduler)
    departed.resize(retention.departed)
    bound_samples(scheduler.monitor, retention.samples)
    bound_profile(scheduler, retention.profile)
    bound_key_caches(retention.key_cache, anew=True)
