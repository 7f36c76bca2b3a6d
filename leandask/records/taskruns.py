"""RunRecords: makes the records of runs of tasks, finished and erred."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from leandask.records.loggers import TASKS
from leandask.records.schema import TASK_ERRED, TASK_FINISHED, Record
from leandask.records.severity import SEVERITY_NUMBERS
from leandask.records.text import CUT, encodable, name_of, one_line
from leandask.records.times import rfc3339, rfc3339_of

if TYPE_CHECKING:
    from leandask.records.factory import RecordFactory

#: Characters kept of an exception's text and of a traceback's; the middle is cut.
EXCEPTION_LENGTH, TRACEBACK_LENGTH = 1000, 4000
#: Estimated bytes of a waiting run without its texts.
RUN_BYTES = 1500
#: Groups on a worker, by types of results, whose fields are kept: 2.5 kB each.
MOST_COMMON = 1000
#: The fields with the seconds of what upstream's ``startstops`` have.
_SECONDS = {
    "transfer": "transfer_seconds",
    "disk-read": "disk_seconds",
    "disk-write": "disk_seconds",
    "deserialize": "deserialize_seconds",
}
#: A traceparent of https://www.w3.org/TR/trace-context/: of any version, as it has
#: these parts first.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
#: The class of an exception at the start of its ``repr``.
_CLASS = re.compile(r"[A-Za-z_][\w.]*")


#: A run of a task on its way to a record: when the scheduler learned of it (seconds
#: since the epoch), its key and its :class:`distributed.scheduler.TaskGroup`, the
#: worker's address and name, how often it may be tried again, and its annotations; then
#: what the worker told: its ``run_id``, ``thread``, ``nbytes``, ``typename`` and
#: ``stimulus_id``, and the ``startstops`` of its phases. A plain tuple, as it is made
#: on the event loop. No task, worker or message is in it: to keep a message takes
#: longer than a tuple of its values.
Run = tuple[Any, ...]


class Failure(NamedTuple):
    """Why a run erred."""

    exception: str
    traceback: str
    #: The task that is to blame, which may be another one; None if it is tried again.
    blamed: Any
    #: Addresses of the workers that were lost while it ran.
    workers_lost: list[str]


class RunRecords:
    """Makes the records of the runs of tasks, for one thread.

    What a record has nothing for is left out, as a log has one for each task.

    Parameters
    ----------
    factory : RecordFactory
        Of the fields that all records have in common.
    """

    def __init__(self, factory: RecordFactory) -> None:
        self._base = factory.template(TASKS, logging.DEBUG, TASK_FINISHED, ())
        self._erred = {
            level: {
                "severity": logging.getLevelName(level),
                "severity_number": SEVERITY_NUMBERS[level],
                "event_name": TASK_ERRED,
            }
            for level in (logging.DEBUG, logging.WARNING)
        }
        #: By the group, the worker and the type of the result: the group, so that its
        #: ``id`` stays its own, the worker's name, and a record of such a run.
        self._common: dict[tuple[int, Any, Any], tuple[Any, Any, dict[str, Any]]] = {}

    def finished(self, seq: int, run: Run) -> Record:
        """Make the record of a run that finished."""
        (
            timestamp,
            key,
            group,
            worker,
            name,
            retries_left,
            annotations,
            run_id,
            thread,
            nbytes,
            typename,
            stimulus_id,
            startstops,
        ) = run  # at once, as a list of a part takes as long as three fields
        common = self._common.get((id(group), worker, typename))
        if common is None or common[1] != name:
            if len(self._common) >= MOST_COMMON:
                self._common.clear()
            common = group, name, self._template(group, worker, name, typename)
            self._common[id(group), worker, typename] = common
        fields = common[2].copy()
        fields["timestamp"] = rfc3339(timestamp)
        fields["seq"] = seq
        fields["task_key"] = name_of(key)
        fields["retries_left"] = retries_left
        # What each run that finished has is in the copy, as a dict is slow to grow.
        if type(run_id) is int:
            fields["run_id"] = run_id
        else:
            del fields["run_id"]
        if type(thread) is int:
            fields["worker_thread"] = thread  # a LogRecord has a thread already
        else:
            del fields["worker_thread"]
        if type(nbytes) is int:
            fields["nbytes"] = nbytes
        else:
            del fields["nbytes"]
        fields["stimulus_id"] = name_of(stimulus_id)
        if startstops:
            _fill_times(fields, startstops)
        if annotations:
            found = _TRACEPARENT.match(str(annotations.get("traceparent")))
            if found:
                fields["trace_id"], fields["span_id"] = found.groups()
        return logging.DEBUG, timestamp, fields

    def erred(self, seq: int, source: tuple[Run, Failure, int]) -> Record:
        """Make the record of a run that erred, or of a task that can't run."""
        run, failure, level = source
        _, timestamp, fields = self.finished(seq, run)
        fields.update(self._erred[level])
        blamed = name_of(failure.blamed) if failure.blamed is not None else ""
        text = encodable(failure.exception)
        if blamed:
            fields["blamed_key"] = blamed
        if text:
            kind = _CLASS.match(text)
            fields["exception_type"] = kind[0] if kind else ""
            fields["exception_text"] = text
            fields["exception"] = encodable(failure.traceback)
        if failure.workers_lost:
            fields["workers_lost"] = failure.workers_lost
        reason = text or f"as {blamed} erred"
        fields["message"] = one_line(f"{fields['task_key']}: {reason}")
        return level, timestamp, fields

    def _template(
        self, group: Any, worker: Any, name: Any, typename: Any
    ) -> dict[str, Any]:
        """Make a dict with the fields of a run, in their order."""
        prefix = name_of(group.prefix.name)
        fields = self._base | {
            "message": one_line(f"{prefix}: finished"),
            "seq": 0,
            "task_key": "",
            "task_prefix": prefix,
            "task_group": name_of(group.name),
        }
        if group.span_id is not None:
            fields["dask_span_id"] = name_of(group.span_id)
        if worker is not None:
            fields["worker"] = worker
            fields["worker_name"] = name_of(worker if name is None else name)
        fields |= dict.fromkeys(("retries_left", "run_id", "worker_thread", "nbytes"))
        if type(typename) is str:
            fields["type"] = name_of(typename)
        fields["stimulus_id"] = ""
        return fields


def _fill_times(fields: dict[str, Any], startstops: Any) -> None:
    """Fill in when it began to compute, and the seconds of its phases."""
    for each in startstops:
        action, start, stop = each["action"], each["start"], each["stop"]
        if action == "compute":
            # In whole microseconds, so that the end is exact too.
            begun = round(start * 1e6)
            fields["run_start"] = rfc3339_of(begun)
            fields["compute_seconds"] = (round(stop * 1e6) - begun) / 1e6
        elif action in _SECONDS:
            name = _SECONDS[action]
            fields[name] = round(fields.get(name, 0.0) + stop - start, 6)


def middle_cut(text: str, length: int) -> str:
    """Return a text without its middle if it is longer than `length` characters.

    Examples
    --------
    >>> middle_cut("abcdefgh", 4)
    'ab…gh'
    """
    if len(text) <= length:
        return text
    return text[: length // 2] + CUT + text[-(length // 2) :]
