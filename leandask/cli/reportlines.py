"""Report lines: how the command shows the report of a running scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dask.utils import format_bytes

if TYPE_CHECKING:
    from leandask.eventlog.archive.report import ArchiveReport
    from leandask.serving.report import Report


def report_lines(report: Report) -> Iterator[str]:
    """Show the report of a scheduler."""
    memory, stream = report["memory"], report["stream"]
    limit = "none" if memory["limit"] is None else format_bytes(memory["limit"])
    yield f"{report['scheduler_id']} at {report['address']}, since {report['started']}"
    yield ", ".join(f"{name} {v}" for name, v in report["versions"].items())
    yield (
        f"memory {format_bytes(memory['rss'])}, "
        f"at most {format_bytes(memory['rss_peak'])}, "
        f"limit {limit}; {report['workers']} workers, "
        f"{report['clients']} clients, {report['tasks']} tasks"
    )
    yield "about " + ", ".join(
        f"{format_bytes(live['bytes'])} of {live['count']} {name}"
        for name, live in report["present"].items()
    )
    yield ""
    yield f"{'history':15} {'kept':>9} {'bound':>9} {'seen':>12} {'bytes':>12}"
    for name, held in report["histories"].items():
        numbers = (held["kept"], held["bound"], held["seen"])
        kept, bound, seen = ("-" if n is None else str(n) for n in numbers)
        nbytes = format_bytes(held["bytes"])
        yield f"{name:15} {kept:>9} {bound:>9} {seen:>12} {nbytes:>12}"
    dropped = sum(stream["dropped"].values())
    yield ""
    yield (
        f"stream: {stream['emitted']} records, {dropped} dropped, "
        f"{stream['errors']} errors, {stream['queued']} queued"
    )
    if guard := report.get("guard"):
        parts = f"warns at {guard['warn']:.0%}, refuses graphs at {guard['refuse']:.0%}"
        source = report["memory"]["limit_source"]
        limit = f"limit by {source}, {parts}" if source else "no limit"
        yield f"guard: {limit}; {guard['refused']} graphs refused"
    if garbage := report.get("garbage"):  # an older scheduler has none
        yield (
            f"garbage: collected for {garbage['seconds']:.1f} s, "
            f"longest pause {garbage['longest_pause'] * 1000:.0f} ms"
        )
    if log := report["event_log"]:
        yield (
            f"event log: {log['path']}, {log['lines_written']} lines, "
            f"{log['lines_lost']} lost{', FAILING' if log['failing'] else ''}"
        )
        if archive := log.get("archive"):  # an older scheduler has none
            yield from _archive_lines(archive)
    if lines := report.get("worker_log"):
        yield f"lines of workers: {lines['lines']}, {lines['dropped']} dropped"
    yield from (f"{w['timestamp']} {w['message']}" for w in report["warnings"])


def _archive_lines(archive: ArchiveReport) -> Iterator[str]:
    last = archive.get("last_upload")  # an older scheduler has none
    yield (
        f"archive: {archive['url']}, {archive['segments_uploaded']} segments "
        f"({format_bytes(archive['bytes_uploaded'])}) uploaded"
        f"{f', the last upload at {last}' if last else ''}; "
        f"{archive['segments_waiting']} ({format_bytes(archive['bytes_waiting'])}) "
        f"wait, {archive['segments_lost']} lost"
    )
    if archive["errors"]:
        yield (
            f"archive: {'FAILING, ' if archive['failing'] else ''}"
            f"{archive['errors']} errors, the last one: {archive['last_error']}"
        )
