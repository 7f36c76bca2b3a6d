"""The spans that are running, and the last ones that have finished."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from distributed.metrics import time
from distributed.spans import Span, SpansSchedulerExtension

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.lru import LRU
from leandask.histories.prefixes import WorkerMetrics

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskGroup, TaskState, WorkerState

#: Graphs between two calls of :meth:`LeanSpans.prune`.
GRAPHS_PER_PRUNE = 16
#: Finished groups of tasks that a span or computation keeps, 1.3 kB each.
GROUPS_KEPT = 20
#: Past changes of the number of threads that are kept, 88 bytes each.
NTHREADS_HISTORY = 10_000
#: Tags that are remembered when all of their spans are forgotten, 150 bytes each.
FORGOTTEN_TAGS = 1000


class ForgottenSpan(Span):
    """The sum of forgotten spans, for a page of the dashboard that still asks."""

    @property
    def active_cpu_seconds(self) -> float:
        """No seconds, as the span has no group of tasks."""
        return 0.0


class LeanSpans(SpansSchedulerExtension):
    """The scheduler's extension for spans, which evicts the oldest finished ones.

    A span has finished when it has no task of the scheduler. A running span stays, with
    its totals: its groups of tasks that stopped first become one group, and its
    finished child spans are forgotten as root spans are.

    Parameters
    ----------
    scheduler : Scheduler
        Its current spans move over.
    maxlen : int or None
        Finished spans kept; None keeps all of everything.
    prefixes : int or None
        Task prefixes with sums of their own in the measurements of a span.
    """

    #: Spans ever evicted.
    evicted: int
    #: Called after each graph, when the scheduler has the most tasks.
    on_graph: Callable[[], None]

    def __init__(
        self,
        scheduler: Scheduler,
        maxlen: int | None,
        prefixes: int | None,
    ) -> None:
        super().__init__(scheduler)
        vars(self).update(vars(scheduler.extensions["spans"]))
        self.maxlen = maxlen
        self.evicted = 0
        self._prefixes = prefixes
        self.on_graph = lambda: None
        self._graphs = 0
        self._forgotten: LRU[str, None] = LRU(maxlen=FORGOTTEN_TAGS)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.spans)} spans, {self.maxlen} kept>"

    def merge_by_tags(self, *tags: str) -> Span:
        """Return the sum of all spans of the tags, empty where all are forgotten.

        Parameters
        ----------
        *tags : str

        Returns
        -------
        Span

        Raises
        ------
        ValueError
            If no span of these tags is known.
        """
        if any(self.find_by_tags(*tags)) or not any(t in self._forgotten for t in tags):
            return super().merge_by_tags(*tags)
        return ForgottenSpan(("(forgotten)",), "(forgotten)", None, [(time(), 0)])

    def observe_tasks(self, tss: Iterable[TaskState], **kwargs: Any) -> Any:  # type: ignore[override]
        """Add the tasks of a graph, and prune after some graphs."""
        annotations = super().observe_tasks(tss, **kwargs)
        self.on_graph()
        self._graphs += 1
        if self._graphs % GRAPHS_PER_PRUNE == 0:
            self.prune()
        return annotations

    def heartbeat(self, ws: WorkerState, data: dict[Any, float]) -> None:
        """Add the measurements of a worker, without those of forgotten spans."""
        super().heartbeat(ws, {k: v for k, v in data.items() if k[1] in self.spans})

    def resize(self, maxlen: int | None, prefixes: int | None) -> None:
        """Set other bounds, and evict what is beyond them."""
        self.maxlen = maxlen
        self._prefixes = prefixes
        for span in self.spans.values():
            metrics = _compat.get_span_metrics(span)
            if isinstance(metrics, WorkerMetrics):
                metrics.resize(prefixes)
        self.prune()

    def prune(self) -> None:
        """Evict the oldest finished spans, and shorten those that stay."""
        if self.maxlen is None:
            return
        gone = self._prune_siblings(self.root_spans)
        if gone:
            self._forget(gone)
        for computation in self.scheduler.computations:
            fold_dead_groups(computation.groups, self.scheduler)
            # Sorted by text, not by age: upstream keeps no other order.
            del computation.code[: -self.maxlen or None]

    def _prune_siblings(self, siblings: list[Span]) -> set[Span]:
        """Shorten a list of spans; return the evicted ones, with their descendants."""
        assert self.maxlen is not None
        gone: set[Span] = set()
        live = {span for span in siblings if self._is_live(span)}
        surplus = len(siblings) - len(live) - self.maxlen
        if surplus > 0:
            finished = (span for span in siblings if span not in live)
            roots = {span for span, _ in zip(finished, range(surplus), strict=False)}
            siblings[:] = [span for span in siblings if span not in roots]
            gone.update(s for root in roots for s in root.traverse_spans())
        for span in siblings:
            fold_dead_groups(span.groups, self.scheduler)
            _compat.shorten_span(span, self.maxlen)
            metrics = _compat.get_span_metrics(span)
            if not isinstance(metrics, WorkerMetrics):
                bounded = WorkerMetrics(metrics, self._prefixes)
                _compat.set_span_metrics(span, bounded)
            if span.children:
                gone |= self._prune_siblings(span.children)
        return gone

    def _is_live(self, span: Span) -> bool:
        groups = self.scheduler.task_groups
        return any(groups.get(tg.name) is tg for tg in span.traverse_groups())

    def _forget(self, gone: set[Span]) -> None:
        self.evicted += len(gone)
        for span in gone:
            self.spans.pop(span.id, None)
        searches: tuple[tuple[Any, set[Any]], ...] = (
            (self.spans_search_by_name, {span.name for span in gone}),
            (self.spans_search_by_tag, {tag for span in gone for tag in span.name}),
        )
        for search, keys in searches:
            for key in keys:
                search[key] = [span for span in search[key] if span not in gone]
                if not search[key]:
                    del search[key]
        for tag in searches[1][1] - self.spans_search_by_tag.keys():
            self._forgotten[tag] = None


def install(scheduler: Scheduler, maxlen: int | None, prefixes: int | None) -> None:
    """Replace upstream's extension for spans, unless the user has replaced it."""
    if type(scheduler.extensions.get("spans")) is SpansSchedulerExtension:
        scheduler.extensions["spans"] = LeanSpans(scheduler, maxlen, prefixes)


def resize(scheduler: Scheduler, maxlen: int | None, prefixes: int | None) -> None:
    """Set other bounds, and evict what is beyond them."""
    spans = scheduler.extensions.get("spans")
    if isinstance(spans, LeanSpans):
        spans.resize(maxlen, prefixes)


def look(scheduler: Scheduler) -> Held:
    """Count the spans."""
    spans = scheduler.extensions.get("spans")
    if not isinstance(spans, LeanSpans):
        return Held(len(getattr(spans, "spans", ())))
    return Held(len(spans.spans), len(spans.spans) + spans.evicted)


def forget(scheduler: Scheduler) -> None:
    """Evict finished spans, and forget changes of threads that no span needs."""
    spans = scheduler.extensions.get("spans")
    if isinstance(spans, LeanSpans):
        spans.prune()
    known = spans.spans.values() if spans is not None else ()
    trim_nthreads_history(scheduler, known)


def fold_dead_groups(
    groups: set[TaskGroup], scheduler: Scheduler, maxlen: int = GROUPS_KEPT
) -> None:
    """Replace the dead groups that stopped first by one group with their sums.

    A group is dead when it has no task of the scheduler. `maxlen` of them stay.
    """
    if len(groups) <= maxlen + 1:
        return
    live = scheduler.task_groups
    dead = [tg for tg in groups if live.get(tg.name) is not tg]
    if len(dead) > maxlen + 1:
        dead.sort(key=lambda tg: tg.stop)
        surplus = dead[: len(dead) - maxlen]
        groups.difference_update(surplus)
        groups.add(_compat.fold_groups(surplus))


def trim_nthreads_history(
    scheduler: Scheduler, spans: Collection[Span], maxlen: int = NTHREADS_HISTORY
) -> None:
    """Forget the changes of the number of threads that no span needs.

    Each span of the scheduler has an index into that history, which is moved with it. A
    span that began more than `maxlen` changes ago loses the oldest: it counts as having
    had no threads then.
    """
    history = scheduler.total_nthreads_history
    offsets = [_compat.get_nthreads_offset(span) for span in spans]
    oldest = min(offsets, default=len(history) - 1)
    surplus = max(oldest, len(history) - maxlen)
    if surplus > 0:
        if oldest < surplus:
            # Upstream needs a change that is older than the end of a span.
            history[surplus] = (history[0][0], 0)
        del history[:surplus]
        for span, offset in zip(spans, offsets, strict=True):
            _compat.set_nthreads_offset(span, max(offset - surplus, 0))
