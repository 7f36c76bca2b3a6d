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
from leandask.historyserver.runpage.digest import Digest, OfScheduler, Whole
from leandask.historyserver.runpage.sections import sectioned
from leandask.reading.files.logfiles import logs_at
from leandask.reading.filter import Story
from leandask.reading.lastrecords import LastRecords
from leandask.reading.reader import LogReader

#: Bytes of memory that a process may take for its data.
MEMORY = 300 * 2**20
#: Records of an answer, and bytes of their lines.
RECORDS, RECORD_BYTES = 1000, 8 * 2**20


def digest(place: str, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return all that the page of a run shows at once, in sections."""
    return sectioned(Digest(scheduler_id).read(LogReader(place)))


def events(place: str, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return the last records that match some filters."""
    limit = options.pop("limit")
    wanted = OfScheduler(scheduler_id, **options)
    last = LastRecords(wanted, limit + 1, RECORD_BYTES)
    last.read(logs_at(LogReader(place).path))
    records = [*last.records()]
    has_more = len(records) > limit or last.is_cut
    found = {"records": records[-limit:][::-1], "has_more": has_more}
    return _json(found)


def story(place: str, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return what happened to a task: its first records."""
    records: deque[dict[str, Any]] = deque()
    nbytes = 0
    wanted = Story(options["key"], within=OfScheduler(scheduler_id))
    has_more = False
    for record in LogReader(place).select(wanted):
        nbytes += len(orjson.dumps(record))
        if len(records) == RECORDS or nbytes > RECORD_BYTES:
            has_more = True
            break
        records.append(record)
    return _json({"records": [*records], "has_more": has_more})


def timeline(place: str, scheduler_id: str, options: dict[str, Any]) -> bytes:
    """Return the page of the timeline of a run, or of its performance report."""
    from leandask.reading.timeline.page import render
    from leandask.reading.timeline.timeline import Timeline

    summary, reader = Timeline(), LogReader(place)
    for record in reader.select(Whole(scheduler_id)):
        summary.add(record)
    summary.quiet_at = reader.quiet_at()
    return render(summary, is_report=options["is_report"]).encode()


KINDS: dict[str, Callable[[str, str, dict[str, Any]], bytes]] = {
    "digest": digest,
    "events": events,
    "story": story,
    "timeline": timeline,
}


def write_log(place: str, scheduler_id: str, out: BinaryIO) -> None:
    """Write the lines of one scheduler, in the names of the schema."""
    encode = JSONFormatter().encode_fields
    for record in LogReader(place).select(Whole(scheduler_id)):
        out.write(encode(record) + b"\n")
    out.flush()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True, allow_nan=False).encode()


def main() -> None:
    """Answer one question: into a file, or a log to stdout."""
    given = json.loads(sys.argv[1])
    end_with_parent()
    limit_memory(given.get("memory", MEMORY))
    of_run = given["place"], given["scheduler_id"]
    try:
        if given["kind"] == "log":
            write_log(*of_run, sys.stdout.buffer)
            return
        answer = KINDS[given["kind"]](*of_run, given["options"])
        Path(given["output"]).write_bytes(answer)
    except (OSError, ValueError, TypeError, ImportError) as e:
        sys.exit(f"{e}"[:500])
    except MemoryError:
        sys.exit("it takes more memory than a page may")


if __name__ == "__main__":
    main()
