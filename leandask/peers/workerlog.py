"""WorkerLog: brings what workers and nannies log to the event log."""

from __future__ import annotations

import logging
import os
import re
import threading
from typing import TYPE_CHECKING, Any, TypedDict

from distributed.comm import get_address_host

from leandask import _compat
from leandask._throttle import Throttle
from leandask.peers.allowance import Allowance
from leandask.records.schema import LINES_DROPPED, WORKER_LOG
from leandask.records.severity import LEVELS
from leandask.records.text import CUT, name_of
from leandask.settings import config

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.comm import Comm

    from leandask.records.stream import RecordStream

logger = logging.getLogger("leandask")

#: Lines a second of each worker, or of all nannies of a host, and those it may log at
#: once; and the same for all of them together, 4 ms of the event loop a second.
RATE, BURST = 10.0, 50
TOTAL_RATE, TOTAL_BURST = 200.0, 2000
#: Characters that are kept of a line, and of the end of its traceback.
LINE_LENGTH = 1000
#: Lines by which the copies of one line are known.
MARKS = 256
#: Seconds between two records of dropped lines.
REPORT_SECONDS = 60.0
#: End of the names of the loggers that tell of memory. Their lines are counted apart.
MEMORY = ".memory"
#: Loggers of those workers and nannies that share the scheduler's process.
SHARED = ("distributed.worker", "distributed.nanny")

# With `\b` the search is linear in a long word: it begins nowhere inside one.
_ADDRESS = re.compile(r"\b\w+://[^\s'\"()]+")


class WorkerLogStats(TypedDict):
    """Counters of the lines that workers and nannies have logged."""

    #: Lines that became events.
    lines: int
    #: Lines beyond what each may log, or all of them.
    dropped: int


class WorkerLog:
    """Publishes lines of workers and nannies as events, so many a second.

    Upstream's own plugin sends each line as an event. Here it is taken before it is
    published, made short, and published under the topic :data:`WORKER_LOG`.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    stream : RecordStream
        Takes the record of dropped lines.
    """

    #: Lines that were published, and those that were dropped.
    lines: int
    dropped: int

    def __init__(self, scheduler: Scheduler, stream: RecordStream) -> None:
        self._scheduler = scheduler
        self._stream = stream
        self.lines = self.dropped = 0
        self._dropped_reported = 0
        self._reporting = Throttle(REPORT_SECONDS)
        self._each = Allowance(RATE, BURST)
        self._all = Allowance(TOTAL_RATE, TOTAL_BURST)
        self._marks: dict[tuple[str, int, float], None] = {}
        self._log_worker_event = scheduler.stream_handlers["log-event"]
        self._log_event = scheduler.handlers["log_event"]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.lines} lines, {self.dropped} dropped>"

    def install(self, level: int) -> None:
        """Have workers and nannies send their lines, also those that connect later."""
        scheduler: Any = self._scheduler
        scheduler.stream_handlers["log-event"] = self.log_worker_event
        scheduler.handlers["log_event"] = self.log_event
        worker, nanny = _compat.forwarding_plugins(level, WORKER_LOG)
        scheduler.worker_plugins[WORKER_LOG] = worker
        if "log_event" not in scheduler.blocked_handlers:  # which is how nannies log
            scheduler.nanny_plugins[WORKER_LOG] = nanny
        if scheduler.listeners:  # it has started already
            scheduler.loop.add_callback(self._send)

    def stats(self) -> WorkerLogStats:
        """Return the counters since the start."""
        return {"lines": self.lines, "dropped": self.dropped}

    def log_worker_event(self, worker: str, topic: Any, msg: Any) -> None:
        """Take a line of a worker; handle any other event as upstream does."""
        if topic == WORKER_LOG:
            self._take(msg, worker, worker)
        else:
            self._log_worker_event(worker=worker, topic=topic, msg=msg)

    def log_event(self, comm: Comm, topic: Any, msg: Any) -> None:
        """Take a line of a nanny; handle any other event as upstream does."""
        if topic == WORKER_LOG:
            self._take(msg, comm.peer_address)
        else:
            self._log_event(topic=topic, msg=msg)

    def report_dropped(self) -> None:
        """Emit a record of how many lines were dropped since the last one, if any."""
        self._each.forget_idle()
        total = self.dropped
        since = total - self._dropped_reported
        if since and self._reporting.acquire():
            self._dropped_reported = total
            self._stream.life(
                LINES_DROPPED,
                f"{since} lines of workers were dropped, {total} since the start",
                {"lines_dropped_total": total, "lines_dropped_since_last": since},
                logging.WARNING,
                force=False,
            )

    async def _send(self) -> None:
        """Give the plugins to the workers and nannies that are connected."""
        scheduler: Any = self._scheduler
        for plugins, register in (
            (scheduler.worker_plugins, scheduler.register_worker_plugin),
            (scheduler.nanny_plugins, scheduler.register_nanny_plugin),
        ):
            try:
                if plugin := plugins.get(WORKER_LOG):
                    await register(None, plugin, WORKER_LOG, idempotent=False)
            except Exception as e:  # one of them has left meanwhile, most likely
                logger.warning("Not all workers send their log: %r", e)

    def _take(self, line: Any, address: str, worker: str | None = None) -> None:
        """Publish a line, unless it is one too many; never raises."""
        try:
            self._publish(line, get_address_host(address), worker)
        except Exception:  # a worker may send anything
            self._stream.count_error()

    def _publish(self, line: dict[str, Any], host: str, worker: str | None) -> None:
        name, text, pid = line["name"], line["msg"], int(line["process"])
        if type(name) is not str or type(text) is not str:
            raise TypeError("a name and a text were expected")
        if self._is_copy((host, pid, float(line["created"]))):
            return
        if pid == os.getpid() and is_thread(line["thread"]):
            if not name.startswith(SHARED):  # the scheduler's own line
                return
            worker = None  # each worker of the process sends it
        # Errors of tasks must not crowd out why the worker is killed.
        kind = MEMORY if name.endswith(MEMORY) else ""
        source = (worker or host) + kind
        if not (self._each.acquire(source) and self._all.acquire(kind)):
            self.dropped += 1
            return
        msg = {
            "worker": worker or self._find_worker(text[:LINE_LENGTH]),
            "host": host,
            "pid": pid,
            "logger": name_of(name),
            "level": level_name(line["levelno"]),
            "time": float(line["created"]),
            "message": text[:LINE_LENGTH] + CUT if len(text) > LINE_LENGTH else text,
        }
        if type(traceback := line.get("exc_text")) is str:
            msg["traceback"] = traceback[-LINE_LENGTH:]
        self._scheduler.log_event(WORKER_LOG, msg)
        self.lines += 1

    def _is_copy(self, mark: tuple[str, int, float]) -> bool:
        """Whether another worker or nanny of the same process has sent the line."""
        if mark in self._marks:
            return True
        self._marks[mark] = None
        if len(self._marks) > MARKS:
            del self._marks[next(iter(self._marks))]
        return False

    def _find_worker(self, text: str) -> str | None:
        """Find the worker that a nanny speaks of: its events don't name the nanny."""
        workers = self._scheduler.workers
        return next((a for a in _ADDRESS.findall(text) if a in workers), None)


def level() -> int | None:
    """Return the level from which lines are sent; None if there is no event log."""
    least: int | None = config.read("workers.log-level")
    return least if config.has_event_log() else None


def install(
    scheduler: Scheduler, stream: RecordStream, jobs: list[Any]
) -> WorkerLog | None:
    """Bring what workers log to the event log, unless that is off."""
    least = level()
    if least is None:
        return None
    worker_log = WorkerLog(scheduler, stream)
    worker_log.install(least)
    jobs.append(worker_log.report_dropped)
    return worker_log


def level_name(number: int) -> str:
    """Return the name of the highest standard level up to a number.

    Examples
    --------
    >>> level_name(35), level_name(0)
    ('WARNING', 'DEBUG')
    """
    return [name for name, n in LEVELS.items() if n <= max(number, logging.DEBUG)][-1]


def is_thread(ident: int) -> bool:
    """Whether a thread of this process has an ident. In containers all pids are 1."""
    return any(thread.ident == ident for thread in threading.enumerate())
