"""The changes of the number of threads, of which spans need those since they began."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from leandask import _compat

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.spans import Span

#: Past changes of the number of threads that are kept, 88 bytes each.
NTHREADS_HISTORY = 10_000


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
