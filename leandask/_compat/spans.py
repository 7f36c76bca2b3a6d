"""Spans, and the groups of tasks in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distributed.scheduler import TaskGroup, TaskPrefix

if TYPE_CHECKING:
    from distributed.spans import Span


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
