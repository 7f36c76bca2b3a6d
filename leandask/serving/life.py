"""Life: the records of the start and the end of a scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from distributed.comm.addressing import get_address_host
from distributed.utils import format_dashboard_link

from leandask._versions import versions
from leandask.records.schema import STARTED, STOPPED
from leandask.records.text import name_of
from leandask.settings.memorylimit import MemoryLimit, count_oom_kills
from leandask.settings.retention import in_force

if TYPE_CHECKING:
    from distributed import Scheduler

    from leandask.eventlog.eventlog import EventLog
    from leandask.records.stream import RecordStream


class LimitFields(TypedDict):
    """The memory limit as a record and the report show it."""

    #: Bytes.
    limit: int | None
    #: What sets it, such as a file of a control group.
    limit_source: str | None


def limit_fields(limit: MemoryLimit | None) -> LimitFields:
    """Return what a record and the report show of a memory limit."""
    if limit is None:
        return {"limit": None, "limit_source": None}
    return {"limit": limit.nbytes, "limit_source": name_of(limit.source)}


def record_start(
    stream: RecordStream, scheduler: Scheduler, limit: MemoryLimit | None
) -> None:
    """Emit the record of the start. The scheduler must have an address."""
    address = scheduler.address
    fields = {
        "address": address,
        "dashboard": _dashboard_of(scheduler),
        "retention": str(in_force(scheduler)),
        **limit_fields(limit),
        "oom_kills": count_oom_kills(),
        **{f"{name}_version": number for name, number in versions().items()},
    }
    stream.life(STARTED, f"scheduler started at {address}", fields)


def _dashboard_of(scheduler: Scheduler) -> str | None:
    """Return the link to the HTTP server of a scheduler, as upstream shows it."""
    server = scheduler.http_server
    try:
        host = get_address_host(scheduler.address)
        return str(format_dashboard_link(host, server.port))
    except (AttributeError, KeyError, ValueError):  # of distributed.dashboard.link
        return None


def record_stop(
    stream: RecordStream,
    event_log: EventLog | None,
    reason: str | None,
    **fields: float,
) -> None:
    """Emit the record of the end, the last one, unless the stream is closed already."""

    def counted(seq: int) -> dict[str, Any]:
        # When the record is made, as records may be lost until then.
        counts: dict[str, Any] = {"dropped_total": stream.queue.n_dropped}
        if event_log is not None:
            counts["missing_total"] = event_log.missing_before(seq)
        return {"reason": reason, **fields, "records_total": seq - 1, **counts}

    if event_log is not None:
        event_log.end()
    stream.report_dropped()
    message = f"scheduler stopped: {reason or 'reason unknown'}"
    stream.life(STOPPED, message, counted)
