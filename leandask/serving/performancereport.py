"""What a performance report of a live scheduler misses, as lines at its head."""

from __future__ import annotations

import html
import math
import re
from typing import TYPE_CHECKING

from leandask import _compat
from leandask.histories import bounds
from leandask.histories.loglines import log_lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Scheduler

#: Where the head of a report begins, in upstream's template.
BODY = re.compile(r"^ *<body>$", re.MULTILINE)


def late_notice(scheduler: Scheduler, start: float) -> str:
    """Say which tabs of a report begin later than it; empty if none does."""
    parts = late_parts(scheduler, start)
    names = " and ".join(f"leandask.retention.{name}" for name in parts)
    return f"Some tabs begin later than this report: see {names}." if parts else ""


def late_parts(scheduler: Scheduler, start: float) -> list[str]:
    """Name the bounds that evicted what a report from `start` on would show."""
    times: dict[str, Iterator[float]] = {
        "samples": iter(scheduler.monitor.quantities["time"]),
        "log-records": (line.created for line in log_lines_of(scheduler).lines),
        "profile": (time for time, _ in _compat.get_profile(scheduler)),
    }
    holdings = bounds.look(scheduler)
    parts = []
    for name, oldest_first in times.items():
        kept, seen = holdings[name]["kept"], holdings[name]["seen"]
        # Stacks are not counted.
        is_cut = kept == holdings[name]["bound"] if seen is None else kept < seen
        if is_cut and next(oldest_first, math.inf) > start:
            parts.append(name)
    return parts


def with_notices(report: str, notices: Sequence[str]) -> str:
    """Insert lines at the head of a performance report."""
    if not notices:
        return report
    found = BODY.search(report)
    begin = found.end() if found else 0
    lines = [f"<p style='margin: 1em'><b>{html.escape(n)}</b></p>" for n in notices]
    return "\n".join([report[:begin], *lines, report[begin:]])
