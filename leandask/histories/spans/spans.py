"""The spans that are running, and the last ones that have finished."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from distributed.metrics import time
from distributed.spans import Span, SpansSchedulerExtension

from leandask import _compat
from leandask.histories.history import Held
from leandask.histories.lru import LRU
from leandask.histories.names import Limit, is_beyond, weigh
from leandask.histories.prefixes import METRIC_BYTES, METRICS_PER_PREFIX, WorkerMetrics
from leandask.histories.sizes import size_of
from leandask.histories.spans.computations import Computations
from leandask.histories.spans.groups import (
    CODE_BYTES,
    fold_dead_groups,
    is_live,
    n_surplus,
    weigh_groups,
)
from leandask.histories.spans.nthreads import trim_nthreads_history

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskState, WorkerState

#: Graphs between two calls of :meth:`LeanSpans.prune`.
GRAPHS_PER_PRUNE = 16
#: Tags whose hashes are remembered when all of their spans are forgotten, 150 bytes
#: each.
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
    limit : Limit or None
        Bytes of the finished spans kept.
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
        limit: Limit | None,
        prefixes: int | None,
    ) -> None:
        super().__init__(scheduler)
        vars(self).update(vars(scheduler.extensions["spans"]))
        self.maxlen = maxlen
        self.limit = limit
        self.evicted = 0
        self._prefixes = prefixes
        self.on_graph = lambda: None
        self._graphs = 0
        self._forgotten: LRU[int, None] = LRU(maxlen=FORGOTTEN_TAGS)
        #: Bytes of groups, long names, code and measurements of a finished span and of
        #: those below it, by its id. Those below it have none of their own.
        self._weights: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.spans)} spans, {self.maxlen} kept>"

    def merge_by_tags(self, *tags: str) -> Span:
        """Return the sum of all spans of the tags, empty where all are forgotten."""
        is_forgotten = any(hash(tag) in self._forgotten for tag in tags)
        if any(self.find_by_tags(*tags)) or not is_forgotten:
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

    @property
    def weight(self) -> int:
        """Bytes of groups, names, code and measurements of the finished spans."""
        return sum(self._weights.values())

    def resize(
        self, maxlen: int | None, limit: Limit | None, prefixes: int | None
    ) -> None:
        """Set other bounds, and evict what is beyond them."""
        self.maxlen = maxlen
        self.limit = limit
        self._weights.clear()
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
        computations = self.scheduler.computations
        if isinstance(computations, Computations):
            computations.prune(self.scheduler, self.maxlen)

    def _prune_siblings(self, siblings: list[Span]) -> set[Span]:
        """Shorten a list of spans; return the evicted ones, with their descendants."""
        assert self.maxlen is not None
        gone: set[Span] = set()
        finished: list[Span] = []
        for span in siblings:
            if self._is_live(span):
                self._weights.pop(span.id, None)
                gone |= self._shorten(span, self.maxlen)
            else:
                if span.id not in self._weights:
                    gone |= self._shorten(span, self.maxlen)
                    self._weigh(span)
                finished.append(span)
        roots = set(self._get_surplus(finished, self.maxlen))
        if roots:
            siblings[:] = [span for span in siblings if span not in roots]
            gone.update(s for root in roots for s in root.traverse_spans())
        return gone

    def _get_surplus(self, finished: list[Span], maxlen: int) -> Iterator[Span]:
        """Yield the finished spans that are beyond the bounds, the oldest first."""
        kept, weight = len(finished), sum(self._weights[s.id] for s in finished)
        for span in finished:
            if not is_beyond(kept, weight, maxlen, self.limit):
                return
            yield span
            kept, weight = kept - 1, weight - self._weights[span.id]

    def _shorten(self, span: Span, maxlen: int) -> set[Span]:
        """Shorten what a span keeps; return the evicted spans below it."""
        fold_dead_groups(span.groups, self.scheduler)
        metadata, code = _compat.get_span_metadata(span), _compat.get_span_code(span)
        for _ in range(n_surplus([*metadata], maxlen)):
            del metadata[0]
        for each in [*code][: n_surplus([*code], maxlen)]:
            del code[each]
        metrics = _compat.get_span_metrics(span)
        if not isinstance(metrics, WorkerMetrics):
            bounded = WorkerMetrics(metrics, self._prefixes)
            _compat.set_span_metrics(span, bounded)
        return self._prune_siblings(span.children) if span.children else set()

    def _weigh(self, span: Span) -> None:
        weight = 0
        for each in span.traverse_spans():
            weight += _weigh(each, self.scheduler)
            self._weights.pop(each.id, None)
        self._weights[span.id] = weight

    def _is_live(self, span: Span) -> bool:
        return is_live(span.traverse_groups(), self.scheduler)

    def _forget(self, gone: set[Span]) -> None:
        self.evicted += len(gone)
        for span in gone:
            self.spans.pop(span.id, None)
            self._weights.pop(span.id, None)
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
            self._forgotten[hash(tag)] = None


def install(
    scheduler: Scheduler,
    maxlen: int | None,
    limit: Limit | None,
    prefixes: int | None,
) -> None:
    """Replace upstream's extension for spans, unless the user has replaced it."""
    if type(scheduler.extensions.get("spans")) is SpansSchedulerExtension:
        spans = LeanSpans(scheduler, maxlen, limit, prefixes)
        scheduler.extensions["spans"] = spans


def resize(
    scheduler: Scheduler,
    maxlen: int | None,
    limit: Limit | None,
    prefixes: int | None,
) -> None:
    """Set other bounds, and evict what is beyond them."""
    spans = scheduler.extensions.get("spans")
    if isinstance(spans, LeanSpans):
        spans.resize(maxlen, limit, prefixes)


def look(scheduler: Scheduler) -> Held:
    """Count the spans."""
    spans = scheduler.extensions.get("spans")
    if not isinstance(spans, LeanSpans):
        return Held(len(getattr(spans, "spans", ())))
    seen = len(spans.spans) + spans.evicted
    return Held(len(spans.spans), seen, weight=spans.weight)


def forget(scheduler: Scheduler) -> None:
    """Evict finished spans, and forget changes of threads that no span needs."""
    spans = scheduler.extensions.get("spans")
    if isinstance(spans, LeanSpans):
        spans.prune()
    known = spans.spans.values() if spans is not None else ()
    trim_nthreads_history(scheduler, known)


def _weigh(span: Span, scheduler: Scheduler) -> int:
    """Bytes of a span's groups but the first, long names, code and measurements."""
    weight = weigh(span.name) + weigh_groups(span.groups, scheduler)
    for kept in (_compat.get_span_metadata(span), [*_compat.get_span_code(span)]):
        weight += size_of(kept, CODE_BYTES)[0] if kept else 0
    metrics = _compat.get_span_metrics(span)
    return (
        weight
        + metrics.weight
        + METRIC_BYTES * max(len(metrics) - METRICS_PER_PREFIX, 0)
    )
