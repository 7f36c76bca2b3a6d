"""TaskRuns: the runs of tasks in a log, as rows with a type for each column."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leandask._versions import needs
from leandask.reading.lines import EXACT, InvalidRecord
from leandask.records.schema import TASK_FINISHED
from leandask.records.times import microseconds, seconds_of

if TYPE_CHECKING:
    from pandas import DataFrame

#: Runs that are written to a Parquet file together: about 30 MB of memory.
ROW_GROUP = 50_000


class TaskRun(NamedTuple):
    """A run of a task: ``dask.task.finished`` or ``dask.task.erred``.

    What the log does not tell is None, or 0 for seconds.
    """

    key: str
    prefix: str
    group: str | None
    #: "finished" or "erred".
    status: str
    worker: str | None
    worker_name: str | None
    thread: int | None
    #: When it computed, in seconds since the epoch, exact to the microsecond; None if
    #: it did not.
    start: float | None
    stop: float | None
    #: Seconds of each phase.
    compute: float
    transfer: float
    disk: float
    deserialize: float
    #: Size of the result in bytes, and its class.
    nbytes: int | None
    type: str | None
    run_id: int | None
    retries_left: int | None
    stimulus_id: str | None
    span: str | None
    #: The ids of a trace of another system (W3C).
    trace_id: str | None
    span_id: str | None
    exception_type: str | None
    exception_text: str | None
    traceback: str | None
    blamed_key: str | None
    scheduler_id: str
    #: When the scheduler learned of it, in seconds since the epoch.
    timestamp: float

    @property
    def blames_another(self) -> bool:
        """Whether its task erred as another one had: it did not run."""
        return self.blamed_key not in (None, self.key)

    @property
    def is_tried_again(self) -> bool:
        """Whether it erred, and its task had retries left."""
        return self.status == "erred" and self.blamed_key is None


#: The phases, by the names of their fields.
PHASES = {
    "compute_seconds": "compute",
    "transfer_seconds": "transfer",
    "disk_seconds": "disk",
    "deserialize_seconds": "deserialize",
}


def run_of(record: dict[str, Any]) -> TaskRun:
    """Return the run that a record tells of.

    Raises
    ------
    InvalidRecord
        If a field breaks the schema.
    """
    start = stop = None
    compute = _seconds(record, "compute_seconds")
    try:
        timestamp = seconds_of(record["timestamp"])
        if (text := _text(record, "run_start")) is not None:
            began = microseconds(text)
            start, stop = began / 1e6, (began + round(compute * 1e6)) / 1e6
    except ValueError as e:
        raise InvalidRecord("run_start", str(e)) from None
    return TaskRun(
        record["task_key"],
        record["task_prefix"],
        _text(record, "task_group"),
        "finished" if record["event_name"] == TASK_FINISHED else "erred",
        _text(record, "worker"),
        _text(record, "worker_name"),
        _number(record, "worker_thread"),
        start,
        stop,
        compute,
        _seconds(record, "transfer_seconds"),
        _seconds(record, "disk_seconds"),
        _seconds(record, "deserialize_seconds"),
        _number(record, "nbytes"),
        _text(record, "type"),
        _number(record, "run_id"),
        _number(record, "retries_left"),
        _text(record, "stimulus_id"),
        _text(record, "dask_span_id"),
        _text(record, "trace_id"),
        _text(record, "span_id"),
        _text(record, "exception_type"),
        _text(record, "exception_text"),
        _text(record, "exception"),
        _text(record, "blamed_key"),
        record["scheduler_id"],
        timestamp,
    )


def _text(record: dict[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or type(value) is str:
        return value
    raise InvalidRecord(name, f"{name} is not a text: {value!r}")


def _number(record: dict[str, Any], name: str) -> int | None:
    value = record.get(name)
    if value is None or (type(value) is int and -EXACT < value < EXACT):
        return value
    raise InvalidRecord(name, f"{name} is not a number: {value!r}")


def _seconds(record: dict[str, Any], name: str) -> float:
    value = record.get(name, 0.0)
    if type(value) in (int, float) and -EXACT < value < EXACT:
        return float(value)
    raise InvalidRecord(name, f"{name} is not a duration: {value!r}")


class TaskRuns(Iterable[TaskRun]):
    """The runs of tasks in a log. Each iteration reads the log from its start.

    Parameters
    ----------
    read : callable
        Returns an iterator of the runs.
    """

    def __init__(self, read: Any) -> None:
        self._read = read

    def __iter__(self) -> Iterator[TaskRun]:
        runs: Iterator[TaskRun] = self._read()
        return runs

    def to_pandas(self) -> DataFrame:
        """Return the runs as a DataFrame, which holds all of them in memory.

        Returns
        -------
        pandas.DataFrame
            With ``start``, ``stop`` and ``timestamp`` as times in UTC.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        with needs("to_pandas", "pandas"):
            import pandas
        frame = pandas.DataFrame(self, columns=TaskRun._fields)
        for name in TIMES:
            times = (frame[name].astype(float) * 1e6).round()
            frame[name] = pandas.to_datetime(times, unit="us", utc=True)
        for name in NUMBERS:
            frame[name] = frame[name].astype("Int64")
        return frame

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        """Write the runs to a Parquet file, in bounded memory; return how many.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        """
        with needs("to_parquet", "pyarrow"):
            import pyarrow
            from pyarrow.parquet import ParquetWriter
        types = dict.fromkeys(TaskRun._fields, pyarrow.string())
        types |= dict.fromkeys(NUMBERS, pyarrow.int64())
        types |= dict.fromkeys(PHASES.values(), pyarrow.float64())
        types |= dict.fromkeys(TIMES, pyarrow.timestamp("us", tz="UTC"))
        schema = pyarrow.schema([*types.items()])
        n_written, runs = 0, iter(self)
        with ParquetWriter(Path(path), schema) as writer:
            while rows := [*islice(runs, ROW_GROUP)]:
                columns = dict(
                    zip(TaskRun._fields, zip(*rows, strict=True), strict=True)
                )
                for name in TIMES:
                    columns[name] = tuple(map(_microseconds, columns[name]))
                writer.write_table(pyarrow.table(columns, schema))
                n_written += len(rows)
        return n_written


#: Columns that are times, and numbers.
TIMES = ("start", "stop", "timestamp")
NUMBERS = ("thread", "nbytes", "run_id", "retries_left")


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
