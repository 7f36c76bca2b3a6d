"""LogReader: records of an event log, read back in bounded memory."""

from __future__ import annotations

import ast
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from leandask._versions import needs
from leandask.reading.bucket.period import period_of
from leandask.reading.files.logfiles import logs_at, open_logs, place_of_log
from leandask.reading.filter import Filter, Filters, RecordFilter, Story
from leandask.reading.forward import ForwardScan, Records
from leandask.reading.lines import InvalidRecord, check, msg_of, seconds_of
from leandask.reading.lives import Lives
from leandask.reading.problems import Problems
from leandask.reading.taskruns import TaskRun, TaskRuns, run_of
from leandask.records.schema import EVENT, RUNS, TRANSITION

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Transition
    from pandas import DataFrame
    from typing_extensions import Unpack


class LogReader:
    """The records of an event log, of one scheduler or of several.

    A log is read from its start each time, in bounded memory. Lines that can't be read
    are skipped and counted in :attr:`problems`.

    Parameters
    ----------
    path : str or os.PathLike
        A file, read together with its rotated files (``PATH.1``, ``PATH.2.gz``); or a
        folder of such files. The scheduler may still be writing to it. Or the URL of a
        file, a run or a folder of runs, such as ``"s3://bucket/dask"``.
    progress : callable, optional
        Called with the bytes read of each block, approximately every 256 KiB.

    See Also
    --------
    leandask.get_history : Ask a live scheduler.

    Examples
    --------
    The workers that were lost::

        for record in LogReader("events.jsonl").records(
            action="remove-worker", level="WARNING", topic="all"
        ):
            print(record["timestamp"], record["worker"])
    """

    #: What was wrong in the last reading; complete once that has ended.
    problems: Problems

    def __init__(
        self,
        path: str | os.PathLike[str],
        progress: Callable[[int], object] = lambda nbytes: None,
    ) -> None:
        self.path = place_of_log(path)
        self.problems = Problems()
        self._progress = progress

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}: {self.problems!r}>"

    @property
    def nbytes(self) -> int:
        """Bytes of the files, as they are on the disk."""
        return sum(log.nbytes for log in logs_at(self.path))

    def records(self, **filters: Unpack[Filters]) -> Records:
        """Yield the records that match all filters.

        Parameters
        ----------
        **filters
            As for :class:`leandask.reading.filter.Filter`: ``topic``, ``action``,
            ``event_name``, ``key``, ``stimulus_id``, ``worker``, ``client``, ``level``,
            ``since``, ``until``.

        Yields
        ------
        dict
            The fields have the names of the schema, whatever the file calls them. The
            oldest record comes first.

        Raises
        ------
        TypeError, ValueError
            If a filter is not valid.
        FileNotFoundError
            If there is no log.
        """
        return self.select(Filter(**filters))

    def story(self, *keys_or_stimuli: Key) -> Iterator[Transition]:
        """Yield the transitions of tasks, as ``Scheduler.story`` returns them.

        Parameters
        ----------
        *keys_or_stimuli : key of a task or stimulus_id
            A key finds the task's own transitions and those that recommend one for it.

        Yields
        ------
        distributed.scheduler.Transition
            The timestamp is exact to the microsecond. A key that reads as a tuple is
            one.
        """
        from distributed.scheduler import Transition  # imports the scheduler

        for record in self.select(Story(*keys_or_stimuli)):
            if record["event_name"] != TRANSITION:
                continue
            try:
                check(record)
                timestamp = seconds_of(record)
            except InvalidRecord as e:
                self.problems.counts[e.kind] += 1
                continue
            recommended = map(key_of, record["recommendation_keys"])
            states = record["recommendation_states"]
            yield Transition(
                key_of(record["task_key"]),
                record["task_start"],
                record["task_finish"],
                dict(zip(recommended, states, strict=True)),
                record["stimulus_id"],
                timestamp,
            )

    def events(self, topic: str) -> Iterator[tuple[float, Any]]:
        """Yield the events of a topic, as ``Client.get_events`` returns them.

        Parameters
        ----------
        topic : str

        Yields
        ------
        tuple
            Time in seconds since the epoch, exact to the microsecond, and the msg as
            JSON has it: tuples and sets are lists.
        """
        for record in self.records(event_name=EVENT, topic=topic):
            try:
                event = seconds_of(record), msg_of(record)
            except InvalidRecord as e:
                self.problems.counts[e.kind] += 1
            else:
                yield event

    def tasks(self, **filters: Unpack[Filters]) -> TaskRuns:
        """Return the runs of tasks that match all filters.

        Parameters
        ----------
        **filters
            As for :meth:`records`.

        Returns
        -------
        TaskRuns
            An iterable of :class:`leandask.reading.taskruns.TaskRun`, with
            ``to_pandas`` and ``to_parquet``.

        Examples
        --------
        The longest run::

            max(LogReader("events.jsonl").tasks(), key=lambda run: run.compute)
        """
        names = filters.setdefault("event_name", [*RUNS])
        wanted = Filter(**filters)
        if not RUNS.issuperset([names] if isinstance(names, str) else names or ()):
            raise ValueError(
                f"event_name must be one of {', '.join(sorted(RUNS))}; got {names!r}"
            )
        return TaskRuns(partial(self._runs, wanted))

    def _runs(self, wanted: Filter) -> Iterator[TaskRun]:
        for record in self.select(wanted):
            try:
                check(record)
                run = run_of(record)
            except InvalidRecord as e:
                self.problems.counts[e.kind] += 1
            else:
                yield run

    def to_pandas(self, **filters: Unpack[Filters]) -> DataFrame:
        """Return the records as a DataFrame, which holds all of them in memory.

        Parameters
        ----------
        **filters
            As for :meth:`records`.

        Returns
        -------
        pandas.DataFrame
            With ``timestamp`` as times in UTC.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        with needs("to_pandas", "pandas"):
            import pandas
        frame = pandas.DataFrame.from_records(list(self.records(**filters)))
        if "timestamp" in frame:
            frame["timestamp"] = pandas.to_datetime(frame["timestamp"])
        return frame

    def quiet_at(self) -> int | None:
        """Return the time, unless a process may be writing the log: then None.

        In milliseconds since the epoch. The locks of the writers tell, but only on
        their machine: a log that has changed a short while ago may be written, too.
        """
        now = time.time()
        try:
            logs = logs_at(self.path)
        except OSError:  # it was removed meanwhile
            return None
        if any(log.may_be_written(now) for log in logs):
            return None
        return int(now * 1000)

    def select(self, wanted: RecordFilter, lives: Lives | None = None) -> Records:
        """Yield the records that match a filter of your own.

        Parameters
        ----------
        wanted : leandask.reading.filter.RecordFilter
            An object with the attribute ``needles`` and the method ``matches``. An
            exception that it raises ends the reading.
        lives : Lives, optional
            Gets the lives of the schedulers in the log, whatever is wanted.

        Yields
        ------
        dict
        """
        # How a run has ended may be told after the last wanted record.
        period = period_of(self.path, wanted, cuts_end=lives is None)
        scan = ForwardScan(wanted, self._progress, lives, period.has_start)
        self.problems = scan.problems
        return scan.records(open_logs(self.path, period))


def key_of(text: str) -> Key:
    """Return the key of a task from its text in a record.

    Examples
    --------
    >>> key_of("('x', 0)"), key_of("x")
    (('x', 0), 'x')
    """
    if text[:1] == "(" and text[-1:] == ")":
        try:
            key = ast.literal_eval(text)
            hash(key)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return text
        if type(key) is tuple:
            return key
    return text
