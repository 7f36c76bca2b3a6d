"""TaskRuns: the runs of tasks in a log, as rows with a type for each column."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from operator import itemgetter
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


#: Columns that are times, and numbers.
TIMES = ("start", "stop", "timestamp")
NUMBERS = ("thread", "nbytes", "run_id", "retries_left")

#: The field of a record for each column.
_FIELDS = {column: column for column in TaskRun._fields} | {
    "key": "task_key",
    "prefix": "task_prefix",
    "group": "task_group",
    "status": "event_name",
    "thread": "worker_thread",
    "start": "run_start",
    "stop": "run_start",
    "span": "dask_span_id",
    "traceback": "exception",
    **{column: field for field, column in PHASES.items()},
}
_NAMES = (*_FIELDS.values(),)
_MISSING = (*(0.0 if name in PHASES else None for name in _NAMES),)
_STATUS, _START, _STOP, _COMPUTE = map(
    TaskRun._fields.index, ("status", "start", "stop", "compute")
)
_numbers_of = itemgetter(*map(TaskRun._fields.index, (*NUMBERS, *PHASES.values())))


def run_of(record: dict[str, Any]) -> TaskRun:
    """Return the run that a record tells of.

    Raises
    ------
    InvalidRecord
        If a field breaks the schema.
    """
    # There are millions of them: what can be done with all columns at once is.
    values: list[Any] = [*map(record.get, _NAMES, _MISSING)]
    if not _is_plain((*map(type, values),)):
        values = [*map(_checked, _NAMES, values, _TYPES)]
    if not sum(map(abs, filter(None, _numbers_of(values)))) < EXACT:
        _refuse_too_large(values)  # one of them, most likely
    values[_STATUS] = "finished" if values[_STATUS] == TASK_FINISHED else "erred"
    try:
        values[-1] = seconds_of(values[-1])
        if (text := values[_START]) is not None:
            began = microseconds(text)
            values[_START] = began / 1e6
            values[_STOP] = (began + round(values[_COMPUTE] * 1e6)) / 1e6
    except ValueError as e:
        raise InvalidRecord("run_start", str(e)) from None
    return TaskRun._make(values)


def _refuse_too_large(values: list[Any]) -> None:
    for name, value in zip(_NAMES, values, strict=True):
        if type(value) in (int, float) and not abs(value) < EXACT:
            raise InvalidRecord(name, f"{name} is not a number: {value!r}")


def _types_of(column: str) -> tuple[type, ...]:
    if column in PHASES.values():
        return (float,)
    if column in ("key", "prefix", "status", "scheduler_id", "timestamp"):
        return (str,)
    return (int if column in NUMBERS else str, type(None))


_TYPES = (*map(_types_of, TaskRun._fields),)


@lru_cache(1000)  # runs differ in which fields they have, but in few ways
def _is_plain(types: tuple[type, ...]) -> bool:
    """Whether values of these types need no change."""
    return all(of in known for of, known in zip(types, _TYPES, strict=True))


def _checked(name: str, value: Any, types: tuple[type, ...]) -> Any:
    if type(value) is int and float in types:
        return float(value)
    if type(value) in types:
        return value
    raise InvalidRecord(name, f"{name} is not valid: {value!r}")


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


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)
