"""LeanSpans: spans that are running, and the last of those that finished."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from distributed.metrics import time
from distributed.spans import Span, SpansSchedulerExtension

from leandask import _compat
from leandask.histories.lru import Recent
from leandask.histories.prefixes import WorkerMetrics

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.scheduler import TaskGroup, TaskState, WorkerState

#: Graphs between two looks for what may go.
GRAPHS_A_LOOK = 16
#: Finished groups of tasks told apart in a span or computation, 1.3 kB each.
GROUPS_KEPT = 20
#: Past changes of the number of threads that are kept, 88 bytes each.
NTHREADS_HISTORY = 10_000
#: Tags without a span any more that are known to have had one, 150 bytes each.
FORGOTTEN_TAGS = 1000


class ForgottenSpan(Span):
    """The sum of spans that are forgotten: a page of the dashboard may still ask."""

    @property
    def active_cpu_seconds(self) -> float:
        """None that is known."""
        return 0.0


class LeanSpans(SpansSchedulerExtension):
    """The scheduler's extension for spans, that forgets the oldest finished ones.

    A span has finished when no scheduler's task is in it any more. One that runs stays,
    with its totals; of what finished inside of it, the groups of tasks that stopped
    first become one group, and child spans go as roots do.

    Parameters
    ----------
    scheduler : Scheduler
        Its present spans move over.
    maxlen : int or None
        Finished spans kept; None keeps all of everything.
    prefixes : int or None
        Task prefixes told apart in the measurements of a span.
    on_graph : callable
        Called after each graph: then the scheduler's tasks are most.
    """

    #: Spans ever forgotten.
    evicted: int

    def __init__(
        self,
        scheduler: Scheduler,
        maxlen: int | None,
        prefixes: int | None,
        on_graph: Callable[[], None],
    ) -> None:
        super().__init__(scheduler)
        vars(self).update(vars(scheduler.extensions["spans"]))
        self.maxlen = maxlen
        self.evicted = 0
        self._prefixes = prefixes
        self._on_graph = on_graph
        self._graphs = 0
        self._forgotten: Recent[str, None] = Recent(maxlen=FORGOTTEN_TAGS)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.spans)} spans, {self.maxlen} kept>"

    def merge_by_tags(self, *tags: str) -> Span:
        """Sum up all spans of the tags; nothing where all of them are forgotten.

        Parameters
        ----------
        *tags : str

        Returns
        -------
        Span

        Raises
        ------
        ValueError
            If there never was a span of these tags, or not for long.
        """
        if any(self.find_by_tags(*tags)) or not any(t in self._forgotten for t in tags):
            return super().merge_by_tags(*tags)
        return ForgottenSpan(("(forgotten)",), "(forgotten)", None, [(time(), 0)])

    def observe_tasks(self, tss: Iterable[TaskState], **kwargs: Any) -> Any:  # type: ignore[override]
        """Take the tasks of a graph in, and now and then forget what has finished."""
        annotations = super().observe_tasks(tss, **kwargs)
        self._on_graph()
        self._graphs += 1
        if self._graphs % GRAPHS_A_LOOK == 0:
            self.prune()
        return annotations

    def heartbeat(self, ws: WorkerState, data: dict[Any, float]) -> None:
        """Take the measurements of a worker in, but for those of spans forgotten."""
        super().heartbeat(ws, {k: v for k, v in data.items() if k[1] in self.spans})

    def resize(self, maxlen: int | None, prefixes: int | None) -> None:
        """Set other bounds, and forget what is beyond them."""
        self.maxlen = maxlen
        self._prefixes = prefixes
        for span in self.spans.values():
            metrics = _compat.get_span_metrics(span)
            if isinstance(metrics, WorkerMetrics):
                metrics.resize(prefixes)
        self.prune()

    def prune(self) -> None:
        """Forget what has finished, but for the last of it."""
        if self.maxlen is None:
            return
        gone = self._prune_siblings(self.root_spans)
        if gone:
            self._forget(gone)
        for computation in self.scheduler.computations:
            fold_dead_groups(computation.groups, self.scheduler)
            # In the order of its text: upstream keeps no other.
            del computation.code[: -self.maxlen or None]

    def _prune_siblings(self, siblings: list[Span]) -> set[Span]:
        """Cut a list of spans down, and give all that went with their descendants."""
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


def fold_dead_groups(
    groups: set[TaskGroup], scheduler: Scheduler, maxlen: int = GROUPS_KEPT
) -> None:
    """Make one of the groups of tasks that stopped first, so that all sums stay.

    Parameters
    ----------
    groups : set of TaskGroup
        Changed in place.
    scheduler : Scheduler
    maxlen : int, optional
        Dead groups to keep as they are: those that no task of the scheduler is in.
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
    """Forget the changes of the number of threads that no span asks for.

    Parameters
    ----------
    scheduler : Scheduler
    spans : collection of Span
        All of the scheduler's. They count from their own places in the history, which
        move along. A span that reaches back by more than `maxlen` changes loses the
        oldest: it had no threads then, as far as is known.
    maxlen : int, optional
        Changes to keep at most.
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
