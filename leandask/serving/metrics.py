"""LeanCollector: the report of a scheduler as Prometheus metrics."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from distributed.http.prometheus import PrometheusCollector

from leandask.records.times import seconds_of

if TYPE_CHECKING:
    from distributed import Scheduler
    from prometheus_client import Metric

    from leandask.eventlog.archive.report import ArchiveReport
    from leandask.records.stream import RecordStream, StreamStats
    from leandask.serving.health import Health
    from leandask.serving.report import EventLogReport, Report

#: A bound without series: its entries are the bytes of the history of events.
NO_SERIES = "event-bytes"


class LeanCollector(PrometheusCollector):
    """Collects the report of a lean scheduler.

    Upstream makes one collector per process, at the first request for ``/metrics``, and
    sets its ``server`` at each request. The reference to the scheduler is weak.

    Parameters
    ----------
    server : distributed.Scheduler

    Notes
    -----
    Every name starts with ``dask_leandask_`` if the namespace is upstream's default. An
    unbounded history has no sample of ``history_bound`` and ``history_bound_bytes``. A
    history whose entries are not counted has none of ``history_seen_total``. Without
    an event log its series are missing.
    """

    def __init__(self, server: Scheduler) -> None:
        super().__init__(server)
        self.subsystem = "leandask"

    @property
    def server(self) -> Scheduler | None:
        """The scheduler of the last request, while it exists."""
        return self._server()

    @server.setter
    def server(self, server: Scheduler) -> None:
        self._server = weakref.ref(server)

    def collect(self) -> Iterator[Metric]:
        """Yield the series, if the scheduler is lean."""
        server = self.server
        if server is None or "leandask" not in server.extensions:
            return
        extension = server.extensions["leandask"]
        yield from self._health(extension.health, extension.stream)
        yield from self._families(extension.report())

    def _health(self, health: Health, stream: RecordStream) -> Iterator[Metric]:
        counter = self._counter
        yield counter(
            "workers_lost",
            "Workers that left neither retired nor closed",
            health.workers_lost,
        )
        yield counter(
            "transitions_failed",
            "Transitions that raised in the scheduler",
            stream.failed_transitions,
        )
        yield self._gauge(
            "event_loop_longest_lateness_seconds",
            "Longest time that the event loop was late since the last scrape",
            health.take_longest_lateness(),
        )
        yield counter(
            "event_loop_lateness_seconds",
            "Time that the event loop was late, in all",
            health.lateness,
        )
        yield counter(
            "event_loop_stalls",
            "Times that the event loop was unresponsive",
            health.stalls,
        )

    def _families(self, report: Report) -> Iterator[Metric]:
        yield from self._memory(report["memory"])
        yield self._gauge(
            "live_bytes",
            "Estimated size of all tasks, workers, clients or connections",
            {name: live["bytes"] for name, live in report["present"].items()},
            "kind",
        )
        yield from self._histories(report["histories"])
        yield from self._stream(report["stream"])
        if report["event_log"] is not None:
            yield from self._event_log(report["event_log"])
        work, given = report["housekeeping"], report["give_back"]
        counter, gauge = self._counter, self._gauge
        yield counter("housekeeping_rounds", "Rounds of housekeeping", work["rounds"])
        yield counter(
            "housekeeping_errors", "Jobs of housekeeping that failed", work["errors"]
        )
        yield gauge(
            "housekeeping_longest_pause_seconds",
            "Longest time that housekeeping held the event loop",
            work["longest_pause"],
        )
        yield counter("give_backs", "Times that memory was given back", given["count"])
        yield gauge(
            "give_back_longest_pause_seconds",
            "Longest time that giving memory back held the event loop",
            given["longest_pause"],
        )
        garbage = report["garbage"]
        yield gauge(
            "garbage_longest_pause_seconds",
            "Longest collection of garbage",
            garbage["longest_pause"],
        )
        yield counter(
            "garbage_seconds", "Time of collections of garbage", garbage["seconds"]
        )

        guard = report["guard"]
        yield counter("refused_graphs", "Graphs that were refused", guard["refused"])
        yield gauge(
            "memory_pressure",
            "Whether the RSS is above a part of the limit that warns, or refuses",
            {
                "warn": float(guard["level"] != ""),
                "refuse": float(guard["level"] == "refuse"),
            },
            "level",
        )
        stream = report["task_stream"]
        yield gauge(
            "watched_tasks",
            "Tasks of the task stream kept for clients that watch it",
            stream["tasks"],
        )
        yield gauge("watched_bytes", "Size of these tasks", stream["bytes"])

    def _memory(self, memory: Mapping[str, Any]) -> Iterator[Metric]:
        texts = {
            "rss": "Resident memory of the scheduler's process",
            "rss_peak": "Highest resident memory of the scheduler's process so far",
            "limit": "Memory limit of the scheduler's process",
        }
        names = {"limit": "memory_limit"}
        for key, text in texts.items():
            yield self._gauge(f"{names.get(key, key)}_bytes", text, memory[key])

    def _histories(self, histories: Mapping[str, Any]) -> Iterator[Metric]:
        texts = {
            "kept": ("history_entries", "Entries that a history holds"),
            "bytes": ("history_bytes", "Approximate size of the entries of a history"),
            "bound": (
                "history_bound",
                "Largest number of entries that a history keeps: events per topic, "
                "messages per connection",
            ),
            "bound_bytes": (
                "history_bound_bytes",
                "Approximate largest size of a history",
            ),
        }
        for key, (name, text) in texts.items():
            yield self._gauge(name, text, self._by_history(histories, key), "history")
        seen = self._by_history(histories, "seen")
        text = "Entries that were ever added to a history"
        yield self._counter("history_seen", text, seen, "history")

    @staticmethod
    def _by_history(histories: Mapping[str, Any], key: str) -> dict[str, Any]:
        return {name: h[key] for name, h in histories.items() if name != NO_SERIES}

    def _stream(self, stats: StreamStats) -> Iterator[Metric]:
        counter, gauge = self._counter, self._gauge
        emitted = "Records taken from the scheduler, or dropped"
        yield counter("records_emitted", emitted, stats["emitted"])
        yield counter("records_written", "Records handed to logging", stats["written"])
        yield counter(
            "records_dropped",
            "Records lost before they reached logging",
            stats["dropped"],
            "reason",
        )
        yield gauge("records_queued", "Records that wait", stats["queued"])
        yield gauge(
            "records_queued_bytes",
            "Approximate size of the records that wait",
            stats["queued_bytes"],
        )
        yield counter(
            "stream_errors", "Exceptions on the way to logging", stats["errors"]
        )
        yield counter(
            "stream_restarts", "Restarts of the stream's thread", stats["restarts"]
        )

    def _event_log(self, log: EventLogReport) -> Iterator[Metric]:
        counter = self._counter
        yield counter(
            "event_log_lines", "Lines written to the event log", log["lines_written"]
        )
        yield counter(
            "event_log_bytes", "Bytes written to the event log", log["bytes_written"]
        )
        yield counter(
            "event_log_lines_lost",
            "Lines lost because the event log could not be written for too long",
            log["lines_lost"],
        )
        yield counter(
            "event_log_errors", "Writes to the event log that failed", log["errors"]
        )
        yield self._gauge(
            "event_log_failing",
            "Whether the last write to the event log failed",
            log["failing"],
        )
        if log["archive"] is not None:
            yield from self._archive(log["archive"])

    def _archive(self, archive: ArchiveReport) -> Iterator[Metric]:
        texts = {
            "uploaded": "uploaded to the archive",
            "lost": "lost, as too much waited for the archive",
            "waiting": "that wait on the disk for the archive",
        }
        for name, text in texts.items():
            series = self._gauge if name == "waiting" else self._counter
            for what in ("segments", "bytes"):
                number = archive[f"{what}_{name}"]  # type: ignore[literal-required]
                yield series(f"archive_{what}_{name}", f"{what.title()} {text}", number)
        yield self._counter(
            "archive_lines_lost",
            "Lines lost because no segment could be written for too long",
            archive["lines_lost"],
        )
        yield self._counter(
            "archive_errors", "Uploads to the archive that failed", archive["errors"]
        )
        yield self._gauge(
            "archive_failing", "Whether the last upload failed", archive["failing"]
        )
        if archive["last_upload"] is not None:
            yield self._gauge(
                "archive_last_upload_timestamp_seconds",
                "When an upload to the archive last succeeded",
                seconds_of(archive["last_upload"]),
            )

    def _gauge(self, name: str, text: str, value: Any, label: str = "") -> Metric:
        from prometheus_client.core import GaugeMetricFamily

        return self._fill(GaugeMetricFamily, name, text, value, label)

    def _counter(self, name: str, text: str, value: Any, label: str = "") -> Metric:
        from prometheus_client.core import CounterMetricFamily

        return self._fill(CounterMetricFamily, name, text, value, label)

    def _fill(self, kind: Any, name: str, text: str, value: Any, label: str) -> Metric:
        labels = [label] if label else []
        family = kind(self.build_name(name), text, labels=labels)
        for label_value, number in value.items() if label else [(None, value)]:
            if number is not None:
                family.add_metric([label_value] if label else [], number)
        return family
