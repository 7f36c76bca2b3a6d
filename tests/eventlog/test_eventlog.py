from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys

import dask
import pytest

from leandask.eventlog.eventlog import EventLog, UnusablePath
from leandask.records.factory import RecordFactory
from leandask.records.loggers import EVENTS
from tests.helpers.sinks import publish, records_in


@pytest.fixture
def log(tmp_path, alone):
    log = EventLog(str(tmp_path / "log.jsonl"), "Scheduler-1")
    yield log
    log.detach()


MSGS = [{"action": "greet", "text": "\u00fc\n"}, None, [1, {2}], float("nan")]


def test_alone_it_writes_the_same_as_with_other_handlers(log):
    publish(*MSGS)
    alone = records_in(log)
    assert len(alone) == len(MSGS)
    other = logging.Handler()
    seen = []
    other.emit = seen.append
    EVENTS.addHandler(other)
    publish(*MSGS)
    assert records_in(log)[len(MSGS) :] == alone
    assert len(seen) == len(MSGS)


def test_alone_no_log_record_is_made(log, monkeypatch):
    monkeypatch.setattr(RecordFactory, "log_record", None)
    publish(*MSGS)
    assert len(records_in(log)) == len(MSGS)


@pytest.mark.parametrize("where", ["logger", "handler"])
def test_alone_it_still_calls_filters(log, where):
    def redact(record):
        record.payload = "hidden"
        record.cluster = "blue"
        return record.seq != 2

    target = EVENTS if where == "logger" else log
    target.addFilter(redact)
    try:
        publish("secret", "dropped", "secret too")
    finally:
        target.removeFilter(redact)
    found = records_in(log)
    assert [r["seq"] for r in found] == [1, 3]
    assert {(r["payload"], r["cluster"]) for r in found} == {("hidden", "blue")}
    assert "secret" not in {r["payload"] for r in found}


def test_alone_its_level_still_holds(log):
    log.setLevel(logging.WARNING)
    publish("info")
    log.flush()
    assert log.file.path.read_text() == ""


def test_it_ignores_records_of_another_scheduler(log):
    publish("theirs", scheduler_id="Scheduler-2")
    publish("ours")
    assert [json.loads(r["payload"]) for r in records_in(log)] == ["ours"]


def test_a_formatter_of_the_user_is_used(log):
    log.setFormatter(logging.Formatter("%(topic)s %(message)s"))
    publish("text")
    assert log.file.path.read_text() == "mine mine: text\n"


def test_without_a_path_there_is_no_event_log():
    with dask.config.set({"leandask.event-log.path": None}):
        assert EventLog.of("Scheduler-1") is None


def test_it_lowers_the_level_only_where_there_is_none(tmp_path):
    above = logging.getLogger("leandask")
    before, own = EVENTS.level, above.level
    try:
        EVENTS.setLevel(logging.NOTSET)
        above.setLevel(logging.ERROR)
        EventLog(str(tmp_path / "a"), "Scheduler-1").detach()
        assert above.level == logging.ERROR
        above.setLevel(logging.NOTSET)
        log = EventLog(str(tmp_path / "a"), "Scheduler-1")
        assert above.level == logging.INFO
        log.detach()
        assert above.level == logging.NOTSET
    finally:
        above.setLevel(own)
        EVENTS.setLevel(before)


def test_it_hides_no_debug_lines_where_the_root_logger_is_at_debug(tmp_path):
    above, root = logging.getLogger("leandask"), logging.getLogger()
    before = [logger.level for logger in (EVENTS, above, root)]
    try:
        EVENTS.setLevel(logging.NOTSET)
        above.setLevel(logging.NOTSET)
        root.setLevel(logging.DEBUG)
        log = EventLog(str(tmp_path / "a"), "Scheduler-1")
        assert above.isEnabledFor(logging.DEBUG)
        root.setLevel(logging.WARNING)
        assert EVENTS.isEnabledFor(logging.INFO)
        log.detach()
        assert above.level == logging.NOTSET
    finally:
        for logger, level in zip((EVENTS, above, root), before, strict=True):
            logger.setLevel(level)


def test_it_leaves_our_own_logger_disabled_where_the_user_disabled_it(
    tmp_path, alone, monkeypatch
):
    above = logging.getLogger("leandask")
    monkeypatch.setattr(above, "disabled", True)
    EventLog(str(tmp_path / "a"), "Scheduler-1").detach()
    assert above.disabled


def test_it_does_not_reattach_once_it_is_detached(log):
    log.detach()
    log.reattach()  # as a round of housekeeping that has already begun may
    assert log not in EVENTS.handlers


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("folder", "Is a directory"),
        ("file/log", "Not a directory|File exists"),
        ("x" * 300, "File name too long"),
        ("fifo", "No process reads this FIFO"),
        ("socket", "No such device or address|not supported on socket"),
        ("closed/log", "Permission denied|Read-only file system"),
    ],
)
def test_a_path_that_cannot_be_a_log_is_refused_at_the_start(
    tmp_path, read_only, path, why
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        if path.startswith("closed"):
            read_only(tmp_path / "closed")
        given = str(tmp_path / path)
        rule = "leandask.event-log.path must be a path that this process can append to"
        with dask.config.set({"leandask.event-log.path": given}):
            with pytest.raises(UnusablePath, match=f"^{rule} .*({why}).*; got '") as e:
                EventLog.of("Scheduler-1")
    assert str(e.value).endswith(f"; got {given!r}")
    assert EVENTS.handlers == [h for h in EVENTS.handlers if type(h) is not EventLog]


@pytest.fixture
def read_only():
    """Make a folder in which no file can be made, also not by root."""
    made = []

    def make(folder):
        folder.mkdir()
        if os.geteuid():
            folder.chmod(0o500)
            return
        mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("a file system can't be mounted here")
        made.append(folder)

    yield make
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_missing_folder_and_a_line_break_in_a_path_are_no_fault(tmp_path, alone):
    path = tmp_path / "new" / "with\nbreak" / "log\n.jsonl"
    with dask.config.set({"leandask.event-log.path": path}):
        log = EventLog.of("Scheduler-1")
    publish("text")
    log.detach()
    assert len(records_in(log)) == 1
    assert log.file.path == path


def test_placeholders_give_each_scheduler_its_own_file(tmp_path, alone, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "../a host")
    path = tmp_path / "{{{hostname}}}" / "{scheduler_id}-{pid}-{start}.jsonl"
    with dask.config.set({"leandask.event-log.path": path}):
        logs = [EventLog.of(f"Scheduler-{i}/x") for i in range(2)]
    for i, log in enumerate(logs):
        log.detach()
        assert log.file.path.parent == tmp_path / "{-a-host}"
        name = rf"Scheduler-{i}-x-{os.getpid()}-\d{{8}}T\d{{6}}Z\.jsonl"
        assert re.fullmatch(name, log.file.path.name)


def test_two_schedulers_of_one_process_that_share_a_file_are_told(tmp_path, caplog):
    with dask.config.set({"leandask.event-log.path": str(tmp_path / "log")}):
        one = EventLog.of("Scheduler-1")
        assert not caplog.records
        other = EventLog.of("Scheduler-2")
        one.detach(), other.detach()
        EventLog.of("Scheduler-3").detach()
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("Another scheduler of this process writes to the event log")


RECONFIGURING = """
import asyncio, json, logging.config, sys
import dask
from leandask import LeanScheduler

async def main():
    async with LeanScheduler(port=0, dashboard=False) as s:
        s.log_event("mine", "before")
        s.stream.catch_up(10)
        logging.config.dictConfig(json.loads(sys.argv[2]))
        s.log_event("mine", "between")
        s.stream.catch_up(10)
        await s.extensions["leandask"].housekeeping.run()
        s.log_event("mine", "after")

with dask.config.set({"leandask.event-log.path": sys.argv[1]}):
    asyncio.run(main())
"""
CONSOLE = {"class": "logging.StreamHandler"}


@pytest.mark.parametrize(
    ("configuration", "kept"),
    [
        ({"disable_existing_loggers": False}, ["before", "between", "after"]),
        ({"disable_existing_loggers": True}, ["before", "after"]),
        ({"loggers": {"leandask": {"handlers": ["console"]}}}, ["before", "after"]),
    ],
)
def test_it_goes_on_after_a_new_logging_configuration(tmp_path, configuration, kept):
    path = tmp_path / "log.jsonl"
    root = {"level": "WARNING", "handlers": ["console"]}
    configuration = {"version": 1, "root": root, **configuration}
    configuration["handlers"] = {"console": CONSOLE}
    program = [sys.executable, "-c", RECONFIGURING, path, json.dumps(configuration)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    payloads = [json.loads(r["payload"]) for r in found if r.get("topic") == "mine"]
    assert payloads == kept
    assert found[-1]["event_name"] == "dask.scheduler.stop"
    is_reported = "A new logging configuration left out the event log" in done.stderr
    assert is_reported == ("between" not in kept)
