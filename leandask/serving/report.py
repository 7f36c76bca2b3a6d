"""Report: what a scheduler holds and how it fares, as plain JSON values."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from distributed.system import MEMORY_LIMIT

from leandask._versions import versions
from leandask.histories import bounds
from leandask.records.text import name_of
from leandask.records.times import rfc3339

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.eventlog.eventlog import EventLog


def report_of(scheduler: Scheduler) -> dict[str, Any]:
    """Report what a scheduler holds.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        A lean one.

    Returns
    -------
    dict
        ``scheduler_id``, ``address`` (None before it listens), ``started``,
        ``timestamp`` (now), ``uptime_seconds`` and ``versions``; the numbers of
        ``workers``, ``clients`` and ``tasks``; ``memory``: RSS of the process in bytes,
        its peak and the memory limit; ``histories`` by the name of the bound: entries
        ``kept`` and ever ``seen``, ``bytes``, ``bound`` and ``bound_bytes``, and the
        ``holders`` that have the bound each; ``stream``: its counters;
        ``housekeeping`` and ``give_back``; ``event_log``, or None; the last
        ``warnings``, newest first; none where ``blocked-handlers`` have ``events``.

    Notes
    -----
    To be called on the scheduler's event loop, of which it takes about 0.3 ms.

    See Also
    --------
    leandask.get_report : asks a scheduler for it, as a client.

    Examples
    --------
    >>> import asyncio
    >>> from leandask import LeanScheduler
    >>> async def main():
    ...     async with LeanScheduler(port=0, dashboard_address=":0") as scheduler:
    ...         scheduler.log_event("greeting", "hello")
    ...         return report_of(scheduler)["histories"]["topics"]
    >>> asyncio.run(main())  # doctest: +NORMALIZE_WHITESPACE
    {'kept': 1, 'seen': 1, 'bytes': 700, 'bound': 1000, 'bound_bytes': 700000,
     'holders': 1}
    """
    extension = scheduler.extensions["leandask"]
    housekeeping, give_back = extension.housekeeping, extension.give_back
    now = time.time()
    rss = scheduler.monitor.get_process_memory()
    return {
        "scheduler_id": scheduler.id,
        "address": scheduler.address if scheduler.listeners else None,
        "started": rfc3339(scheduler.time_started),
        "timestamp": rfc3339(now),
        "uptime_seconds": now - scheduler.time_started,
        "versions": versions(),
        "workers": len(scheduler.workers),
        "clients": len([c for c in scheduler.clients if c != "fire-and-forget"]),
        "tasks": len(scheduler.tasks),
        "memory": {"rss": rss, "rss_peak": rss_peak(rss), "limit": MEMORY_LIMIT},
        "histories": bounds.look(scheduler),
        "stream": extension.stream.stats(),
        "housekeeping": {
            "rounds": housekeeping.rounds,
            "errors": housekeeping.errors,
            "longest_pause": housekeeping.longest_pause,
        },
        "give_back": {
            "count": give_back.count,
            "longest_pause": give_back.longest_pause,
        },
        "event_log": _event_log(extension.event_log),
        # They tell of events.
        "warnings": []
        if "events" in scheduler.blocked_handlers
        else extension.stream.warnings(),
    }


def rss_peak(rss: int = 0) -> int | None:
    """Return the highest RSS that this process had, in bytes.

    Parameters
    ----------
    rss : int, optional
        RSS now: the kernel may count the peak a little later.

    Returns
    -------
    int or None
        None where the system does not tell.
    """
    try:
        # getrusage() has the peak of whatever process started this one, too.
        with open("/proc/self/status", "rb") as status:
            kib = status.read().partition(b"VmHWM:")[2].split(maxsplit=1)[0]
        return max(int(kib) * 1024, rss)
    except (OSError, IndexError):
        return _rss_peak_elsewhere(rss)


def _rss_peak_elsewhere(rss: int) -> int | None:
    try:
        import resource
        import sys
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(peak if sys.platform == "darwin" else peak * 1024, rss)


def _event_log(sink: EventLog | None) -> dict[str, Any] | None:
    if sink is None:
        return None
    return {
        "path": name_of(sink.file.path),
        "lines_written": sink.lines_written,
        "bytes_written": sink.bytes_written,
        "lines_lost": sink.lines_lost,
        "errors": sink.errors,
        "failing": sink.failing,
    }
