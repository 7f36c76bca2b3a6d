"""Run: one run of a task, as its record tells it."""

from __future__ import annotations

from typing import Any, NamedTuple

from leandask.reading.lines import EXACT, InvalidRecord
from leandask.reading.words import text_of
from leandask.records import times
from leandask.records.schema import TASK_ERRED
from leandask.records.text import MESSAGE_LENGTH, NAME_LENGTH

#: Seconds that a phase of a run may take: 31 years.
_LONGEST = 1e9


class Run(NamedTuple):
    """One run of a task. All times are in microseconds, of the start since the epoch.

    A task that erred because of another one, or with its worker, has no start: it did
    not run, or nobody knows when.
    """

    key: str
    prefix: str
    #: Address and name of the worker, and its thread; empty and 0 if not known.
    worker: str
    worker_name: str
    thread: int
    start: int | None
    #: How long it computed, and what came before that.
    compute: int
    transfer: int
    disk: int
    deserialize: int
    #: Size of the result in bytes; None if not known.
    nbytes: int | None
    is_erred: bool
    #: Class and text of its exception, and the task that is to blame if that is final.
    error: str
    reason: str
    blamed: str

    @property
    def end(self) -> int | None:
        """When it had computed."""
        return None if self.start is None else self.start + self.compute


def run_of(record: dict[str, Any]) -> Run:
    """Return the run that a record tells, or raise InvalidRecord."""
    get = record.get
    start = get("run_start")
    return Run(
        key=_text(record, "task_key"),
        prefix=_text(record, "task_prefix"),
        worker=(worker := text_of(get("worker"), NAME_LENGTH)),
        worker_name=text_of(get("worker_name"), NAME_LENGTH) or worker,
        thread=_whole(record, "thread") or 0,
        start=None if start is None else _time(record),
        compute=_microseconds(record, "compute_seconds"),
        transfer=_microseconds(record, "transfer_seconds"),
        disk=_microseconds(record, "disk_seconds"),
        deserialize=_microseconds(record, "deserialize_seconds"),
        nbytes=_whole(record, "nbytes"),
        is_erred=record["event_name"] == TASK_ERRED,
        error=text_of(get("exception_type"), NAME_LENGTH),
        reason=text_of(get("exception_text"), MESSAGE_LENGTH),
        blamed=text_of(get("blamed_key"), NAME_LENGTH),
    )


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if type(value) is not str:
        raise InvalidRecord(name, f"{name} is not a text: {value!r}")
    return value[: NAME_LENGTH + 1]


def _time(record: dict[str, Any]) -> int:
    try:
        return times.microseconds(record["run_start"])
    except (TypeError, ValueError):
        value = record["run_start"]
        raise InvalidRecord("run_start", f"it is not a time: {value!r}") from None


def _microseconds(record: dict[str, Any], name: str) -> int:
    seconds = record.get(name)
    if seconds is None:
        return 0
    if type(seconds) not in (int, float) or not 0 <= seconds < _LONGEST:
        raise InvalidRecord(name, f"{name} is not a duration: {seconds!r}")
    return round(seconds * 1e6)


def _whole(record: dict[str, Any], name: str) -> int | None:
    value = record.get(name)
    if value is not None and (type(value) is not int or not 0 <= value < EXACT):
        raise InvalidRecord(name, f"{name} is not a number: {value!r}")
    return value
