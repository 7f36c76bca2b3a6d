"""Report: what a scheduler holds, and its counters, as plain JSON values."""

from __future__ import annotations

import resource
import sys
import time
from typing import TYPE_CHECKING, TypedDict

from leandask._versions import versions
from leandask.eventlog.archive.report import ArchiveReport
from leandask.guard.guard import GuardReport
from leandask.guard.present import Present, present_of
from leandask.histories import bounds
from leandask.histories.taskbuffer import MOST_BYTES
from leandask.histories.taskstream import task_stream_of
from leandask.peers.workerlog import WorkerLogStats
from leandask.records.recordqueue import StreamStats
from leandask.records.text import name_of
from leandask.records.times import rfc3339
from leandask.serving.life import limit_fields

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.eventlog.eventlog import EventLog
    from leandask.histories.bounds import Holding


class MemoryReport(TypedDict):
    """Memory of the scheduler's process, in bytes."""

    rss: int
    #: Highest RSS so far.
    rss_peak: int
    #: What it may take, and what sets that; None where that is not looked at.
    limit: int | None
    limit_source: str | None


class LeanTasksReport(TypedDict):
    """Whether the scheduler's new tasks are lean."""

    lean: bool
    #: Why not; empty if they are.
    why: str


class HousekeepingReport(TypedDict):
    """Counters of housekeeping."""

    rounds: int
    #: Jobs that failed.
    errors: int
    #: Longest time that a job held the event loop, in seconds.
    longest_pause: float


class GiveBackReport(TypedDict):
    """How memory was given back to the operating system."""

    #: Times that it was given back.
    count: int
    #: Longest time that this held the event loop, in seconds.
    longest_pause: float


class GarbageReport(TypedDict):
    """Collections of garbage in the scheduler's process, in seconds."""

    longest_pause: float
    #: All of them together.
    seconds: float


class TaskStreamReport(TypedDict):
    """What is kept of the task stream, beyond its bound, for clients that watch it."""

    #: Connections of such clients.
    watchers: int
    tasks: int
    #: Bytes of these tasks, and what they are at most.
    bytes: int
    bytes_most: int


class EventLogReport(TypedDict):
    """Counters of the event log."""

    path: str
    lines_written: int
    bytes_written: int
    #: Lines that could not be written for too long.
    lines_lost: int
    #: Writes that failed, and whether the last one did.
    errors: int
    failing: bool
    #: None if it has none.
    archive: ArchiveReport | None


class Warned(TypedDict):
    """A record of WARNING or above."""

    timestamp: str
    severity: str
    message: str


class Report(TypedDict):
    """What a scheduler holds, and its counters."""

    scheduler_id: str
    #: None before the scheduler listens.
    address: str | None
    #: RFC 3339 times of the scheduler's start and of this report.
    started: str
    timestamp: str
    uptime_seconds: float
    #: By name: the packages, and Python.
    versions: dict[str, str]
    #: Numbers of workers, clients and tasks.
    workers: int
    clients: int
    tasks: int
    lean_tasks: LeanTasksReport
    memory: MemoryReport
    #: What is done at the memory's limit, and what was.
    guard: GuardReport
    #: What the tasks, workers, clients and connections take, estimated from samples.
    present: Present
    #: By the name of the bound.
    histories: dict[str, Holding]
    stream: StreamStats
    housekeeping: HousekeepingReport
    give_back: GiveBackReport
    garbage: GarbageReport
    task_stream: TaskStreamReport
    #: None if there is no event log.
    event_log: EventLogReport | None
    #: None if lines of workers are not in an event log.
    worker_log: WorkerLogStats | None
    #: The last ones, newest first; none if ``blocked-handlers`` have ``events``.
    warnings: list[Warned]


def report_of(scheduler: Scheduler) -> Report:
    """Report what a lean scheduler holds.

    Notes
    -----
    Call it on the scheduler's event loop. It takes about 5 ms.

    See Also
    --------
    leandask.get_report : Ask for the report as a client.

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
    guard = extension.guard.report()
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
        "lean_tasks": {"lean": extension.tasks.lean, "why": extension.tasks.why},
        "memory": {
            "rss": rss,
            "rss_peak": rss_peak(rss),
            **limit_fields(extension.guard.limit),
        },
        "guard": guard,
        "present": present_of(scheduler, extension.guard.start),
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
        "garbage": {
            "longest_pause": extension.collector.meter.longest,
            "seconds": extension.collector.meter.seconds,
        },
        "task_stream": _task_stream(scheduler),
        "event_log": _event_log(extension.event_log),
        "worker_log": extension.worker_log and extension.worker_log.stats(),
        # Warnings contain text of events.
        "warnings": []
        if "events" in scheduler.blocked_handlers
        else extension.stream.warnings(),
    }


def rss_peak(rss: int = 0, status: str = "/proc/self/status") -> int:
    """Return the highest RSS of this process in bytes.

    `rss` is the current RSS: the kernel may update the peak a little later.
    """
    try:
        # getrusage() includes the peak of the process that started this one.
        with open(status, "rb") as lines:
            kib = lines.read().partition(b"VmHWM:")[2].split(maxsplit=1)[0]
        return max(int(kib) * 1024, rss)
    except (OSError, IndexError):  # there is no /proc
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return max(peak if sys.platform == "darwin" else peak * 1024, rss)


def _task_stream(scheduler: Scheduler) -> TaskStreamReport:
    stream = task_stream_of(scheduler)
    return {
        "watchers": 0 if stream is None else stream.n_watchers,
        "tasks": 0 if stream is None else stream.buffer.n_older,
        "bytes": 0 if stream is None else stream.buffer.nbytes,
        "bytes_most": MOST_BYTES,
    }


def _event_log(sink: EventLog | None) -> EventLogReport | None:
    if sink is None:
        return None
    return {
        "path": name_of(sink.file.path),
        "lines_written": sink.lines_written,
        "bytes_written": sink.bytes_written,
        "lines_lost": sink.lines_lost,
        "errors": sink.errors,
        "failing": sink.failing,
        "archive": None if sink.archive is None else sink.archive.report(),
    }
