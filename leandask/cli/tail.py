"""Tail: how the command shows the last records, and new ones as they are written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from leandask.cli.output import exit_if_partly_read, warn_of, write_records
from leandask.cli.terminal import warn
from leandask.reading.files.listing import Log
from leandask.reading.files.logfiles import logs_at
from leandask.reading.filter import Filter
from leandask.reading.follow import Follow
from leandask.reading.lastrecords import LastRecords

if TYPE_CHECKING:
    from leandask.reading.bucket.bucketfollow import BucketFollow
    from leandask.reading.bucket.bucketlogs import BucketLog

#: Logs of a folder that are followed: those that were written last.
FOLLOWED_LOGS = 100
#: Seconds between two looks for new records.
INTERVAL = 0.2


def show_last(path: Path | str, wanted: Filter, n: int, as_json: bool) -> None:
    """Show the last records of the logs at a path."""
    last = read_last(logs_at(path), wanted, n)
    write_records(last.records(), as_json)
    warn_of_last(last)
    exit_if_partly_read(last.problems)


def follow(path: Path | str, wanted: Filter, n: int, as_json: bool) -> NoReturn:
    """Show the last records of the logs at a path, and new ones until Ctrl-C."""
    logs = logs_at(path)
    with contextlib.ExitStack() as stack:
        # Opened before the last records are read, so that none is missed.
        followed = []
        for each in logs_to_follow(logs, path, wanted):
            stack.enter_context(each)
            followed.append(each)
        last = read_last(logs, wanted, n)
        shown = set()
        for record in last.records():
            shown.add((record["scheduler_id"], record["seq"]))
        write_records(last.records(), as_json)
        warn_of_last(last)
        del last
        while True:
            write_new_records(followed, shown, as_json)
            shown.clear()  # new records are after those that were read back
            time.sleep(INTERVAL)


def read_last(logs: Sequence[Log | BucketLog], wanted: Filter, n: int) -> LastRecords:
    """Read the last records of logs."""
    last = LastRecords(wanted, n)
    if n:
        last.read(logs)
    return last


def warn_of_last(last: LastRecords) -> None:
    """Report what is wrong with the last records."""
    warn_of(last.problems)
    if last.is_cut:
        warn("older records are not shown: they would take too much memory")


def logs_to_follow(
    logs: Sequence[Log | BucketLog], path: Path | str, wanted: Filter
) -> Iterator[Follow | BucketFollow]:
    """Open the files that may still be written to: one, or several of a folder."""
    newest = sorted(logs, key=lambda log: log.last_written, reverse=True)
    is_folder = len(logs) > 1 if isinstance(path, str) else path.is_dir()
    for log in newest[:FOLLOWED_LOGS]:
        try:
            if isinstance(log, Log):
                yield Follow(log.base, wanted)
            else:
                yield _follow_bucket(log, wanted)
        except FileNotFoundError:
            if not is_folder:  # a finished log may have rotated files only
                raise
        except OSError as e:
            if not is_folder:
                raise
            warn(f"{log.base} is not followed: {e}")


def _follow_bucket(log: BucketLog, wanted: Filter) -> BucketFollow:
    from leandask.reading.bucket.bucketfollow import BucketFollow  # few logs are there

    return BucketFollow(log, wanted)


def write_new_records(
    followed: list[Follow | BucketFollow], shown: set[tuple[str, int]], as_json: bool
) -> None:
    """Write the records that are new, one log after the other, except those `shown`.

    They are not collected: after a pause there may be more of them than fit in memory.

    Raises
    ------
    OSError
        If the last of the logs can't be read any more.
    """
    for each in [*followed]:
        counts, missing = each.problems.counts.copy(), each.problems.missing
        new = (r for r in each.records() if (r["scheduler_id"], r["seq"]) not in shown)
        try:
            write_records(new, as_json)
        except OSError as e:
            if e.filename is None or len(followed) == 1:
                raise  # it is stdout that can't be written, or no log is left
            followed.remove(each)
            warn(f"{each.path} is not followed any more: {e}")
        now = each.problems.counts
        if lines := sum(now[kind] - counts[kind] for kind in ("corrupt", "foreign")):
            warn(f"{lines} lines of {each.path} can't be read")
        if lost := each.problems.missing - missing:
            warn(f"{lost} records are missing in {each.path}")
