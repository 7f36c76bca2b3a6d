"""The process that reads one log for one page, and ends: it can't harm the server.

``python -m leandask.historyserver.runpage.worker`` takes a question as JSON.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from leandask.eventlog.formatter import JSONFormatter
from leandask.historyserver.index.process import end_with_parent, limit_memory
from leandask.historyserver.runpage.overview import Overview
from leandask.historyserver.runpage.sections import sectioned
from leandask.historyserver.runpage.tables import tables_of
from leandask.historyserver.runpage.wanted import OfScheduler, Whole
from leandask.reading.files.logfiles import logs_at
from leandask.reading.filter import Story
from leandask.reading.lastrecords import LastRecords
from leandask.reading.reader import LogReader

#: Bytes of memory that a process may take for its data.
MEMORY = 300 * 2**20
#: Records of an answer, and bytes of their lines.
RECORDS, RECORD_BYTES = 1000, 8 * 2**20


def overview(reader: LogReader, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return what the first page of a run shows."""
    return sectioned({"overview": Overview(scheduler_id).read(reader)})


def tables(reader: LogReader, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return tasks, errors and workers of a run, in sections."""
    return sectioned(tables_of(reader, scheduler_id))


def events(reader: LogReader, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return the last records that match some filters."""
    limit = options.pop("limit")
    wanted = OfScheduler(scheduler_id, **options)
    last = LastRecords(wanted, limit + 1, RECORD_BYTES)
    last.read(logs_at(reader.path))
    records = [*last.records()]
    has_more = len(records) > limit or last.is_cut
    found = {"records": records[-limit:][::-1], "has_more": has_more}
    return _json(found)


def story(reader: LogReader, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return what happened to a task: its first records."""
    records: deque[dict[str, Any]] = deque()
    nbytes = 0
    wanted = Story(options["key"], within=OfScheduler(scheduler_id))
    has_more = False
    for record in reader.select(wanted):
        nbytes += len(orjson.dumps(record))
        if len(records) == RECORDS or nbytes > RECORD_BYTES:
            has_more = True
            break
        records.append(record)
    return _json({"records": [*records], "has_more": has_more})


def timeline(reader: LogReader, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return the page of the timeline of a run, or of its performance report."""
    from leandask.reading.timeline.page import render
    from leandask.reading.timeline.timeline import Timeline

    summary = Timeline()
    for record in reader.select(Whole(scheduler_id)):
        summary.add(record)
    summary.quiet_at = reader.quiet_at()
    return render(summary, is_report=options["is_report"]).encode()


KINDS: dict[str, Callable[[LogReader, str, dict[str, Any]], bytes]] = {
    "overview": overview,
    "tables": tables,
    "events": events,
    "story": story,
    "timeline": timeline,
}


def write_log(reader: LogReader, scheduler_id: str, out: BinaryIO) -> None:
    """Write the lines of one scheduler, in the names of the schema."""
    encode = JSONFormatter().encode_fields
    for record in reader.select(Whole(scheduler_id)):
        out.write(encode(record) + b"\n")
    out.flush()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False).encode()


class Progress:
    """Prints how much of a log was read: a line for each percent.

    Parameters
    ----------
    nbytes : int
        Bytes of its files.
    """

    def __init__(self, nbytes: int) -> None:
        self._nbytes = max(nbytes, 1)
        self._read = self._percent = 0

    def __call__(self, nbytes: int) -> None:
        """Add bytes that were read."""
        self._read += nbytes
        if (percent := min(100 * self._read // self._nbytes, 100)) > self._percent:
            self._percent = percent
            print(percent, flush=True)


def main() -> None:
    """Answer one question: into a file, or a log to stdout."""
    given = json.loads(sys.argv[1])
    end_with_parent()
    limit_memory(given.get("memory", MEMORY))
    place, scheduler_id = given["place"], given["scheduler_id"]
    try:
        if given["kind"] == "log":
            write_log(LogReader(place), scheduler_id, sys.stdout.buffer)
            return
        reader = LogReader(place, Progress(given["nbytes"]))
        answer = KINDS[given["kind"]](reader, scheduler_id, given["options"])
        Path(given["output"]).write_bytes(answer)
    except (OSError, ValueError, TypeError, ImportError) as e:
        sys.exit(f"{e}"[:500])
    except MemoryError:
        sys.exit("it takes more memory than a page may")


if __name__ == "__main__":
    main()
