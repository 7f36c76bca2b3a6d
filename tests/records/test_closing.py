"""The end of a stream: every record is written or counted, and the log says which."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import dask
import pytest
from distributed.utils_test import gen_test

from leandask.eventlog.eventlog import EventLog
from leandask.records.loggers import EVENTS
from tests.helpers.handlers import Gate, Raising, Slow
from tests.helpers.processes import records_of
from tests.helpers.schedulers import lean
from tests.helpers.sinks import make_stream


def reject(record):
    raise ValueError("broken")


def settled(stream):
    stats = stream.stats()
    assert stats["written"] + sum(stats["dropped"].values()) == stats["emitted"]
    assert sum(stats["dropped"].values()) == sum(stats["dropped_kinds"].values())
    assert stats["queued"] == 0
    return stats


def end_of(log):
    """The last record of a log, which says how many are missing before it."""
    records = records_of(log)
    seqs = [r["seq"] for r in records]
    assert seqs == sorted(set(seqs))
    end = records[-1]
    assert end["event_name"] == "dask.scheduler.stop"
    assert end["records_total"] == end["seq"] - 1
    assert end["missing_total"] == end["seq"] - len(records)
    return end


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("make", [Gate, lambda: Slow(0.2)])
@gen_test()
async def test_the_log_is_whole_behind_a_handler_that_is_slow_or_hangs(
    tmp_path, make, is_before, caplog
):
    handler = make()
    log = tmp_path / "log.jsonl"
    settings = {
        "leandask.event-log.path": str(log),
        "leandask.stream.close-timeout": "1s",
    }
    try:
        if is_before:
            EVENTS.addHandler(handler)
        with dask.config.set(settings):
            async with lean() as s:
                EVENTS.addHandler(handler)
                for i in range(500):
                    s.log_event("mine", i)
        end = end_of(log)
        assert (end["missing_total"], end["dropped_total"]) == (0, 0)
        stats = settled(s.stream)
        assert stats["dropped"]["closed"] > 400
        assert f"{stats['dropped']['closed']} records are lost" in caplog.text
        assert "the event log has them" in caplog.text
    finally:
        if isinstance(handler, Gate):
            handler.opened.set()
        EVENTS.removeHandler(handler)
    # The handler's thread goes on with the record in its hands, and that is all.
    assert settled(s.stream) == stats
    assert len(records_of(log)) == end["seq"]


@gen_test()
async def test_the_log_says_how_many_records_a_full_queue_dropped(tmp_path):
    gate = Gate()
    log = tmp_path / "log.jsonl"
    settings = {
        "leandask.event-log.path": str(log),
        "leandask.stream.close-timeout": "0s",
        "leandask.stream.queue-length": 100,
    }
    EVENTS.addHandler(gate)
    try:
        with dask.config.set(settings):
            async with lean() as s:
                assert gate.entered.wait(30)
                for i in range(500):
                    s.log_event("mine", i)
        stats = settled(s.stream)
        end = end_of(log)
        assert end["missing_total"] == end["dropped_total"]
        assert end["missing_total"] == stats["dropped"]["queue-length"] > 350
        loss = records_of(log)[-2]
        assert loss["event_name"] == "leandask.records-dropped"
        assert loss["dropped_total"] == end["dropped_total"]
    finally:
        gate.opened.set()
        EVENTS.removeHandler(gate)


@gen_test()
async def test_the_log_says_how_many_records_a_filter_that_raises_kept_out(tmp_path):
    log = tmp_path / "log.jsonl"
    raising = Raising(ValueError("broken"))
    with dask.config.set({"leandask.event-log.path": str(log)}):
        async with lean() as s:
            EVENTS.addHandler(raising)
            s.log_event("mine", "for the other handlers")
            s.stream.catch_up(10)
            EVENTS.addFilter(reject)
            try:
                for i in range(10):
                    s.log_event("mine", i)
                s.stream.catch_up(10)
            finally:
                EVENTS.removeFilter(reject)
                EVENTS.removeHandler(raising)
    end = end_of(log)
    assert end["missing_total"] == end["dropped_total"] == 10
    assert settled(s.stream)["dropped"]["failed"] == 10


@gen_test()
async def test_the_log_says_how_many_lines_did_not_fit_while_its_disk_was_full(
    tmp_path, monkeypatch
):
    log = tmp_path / "log.jsonl"
    with dask.config.set({"leandask.event-log.path": str(log)}):
        async with lean() as s:
            s.stream.catch_up(10)
            event_log = s.extensions["leandask"].event_log
            event_log.flush()
            with monkeypatch.context() as patch:
                patch.setattr("leandask.eventlog.linebuffer.MAX_BYTES", 1000)
                patch.setattr(event_log.file, "write", Raising(OSError("full")).emit)
                for i in range(100):
                    s.log_event("mine", i)
                s.stream.catch_up(10)
                event_log.flush()
    end = end_of(log)
    assert end["missing_total"] == event_log.lines_lost > 50
    assert end["dropped_total"] == 0


def test_a_scheduler_that_was_never_closed_ends_its_log_too(tmp_path):
    from leandask.extension import _close_now

    stream = make_stream()
    event_log = EventLog(tmp_path / "log.jsonl", "Scheduler-1")
    stream.event("mine", (1.5, 1))
    _close_now(stream, event_log, ExitStack())
    end = end_of(tmp_path / "log.jsonl")
    assert (end["seq"], end["reason"], end["missing_total"]) == (2, "not closed", 0)


def test_the_log_is_written_where_no_thread_can_start(tmp_path, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    stream = make_stream()
    event_log = EventLog(tmp_path / "log.jsonl", "Scheduler-1")
    try:
        for i in range(5):
            stream.event("mine", (1.5, i))
        stream.close(event_log)
    finally:
        event_log.detach()
    assert [r["seq"] for r in records_of(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5]
    assert settled(stream)["dropped"]["closed"] == 5


def test_records_from_two_threads_keep_their_order(tmp_path):
    """The thread of the drain and that of the end write the same records."""
    stream = make_stream()
    event_log = EventLog(tmp_path / "log.jsonl", "Scheduler-1")
    event_log.end()
    slow = Slow(0.0005)
    EVENTS.addHandler(slow)
    try:
        for i in range(500):
            stream.event("mine", (1.5, i))
        others = [stream._drain.start_serving(event_log) for _ in range(3)]
        for thread in others:
            thread.join()
        stream.close(event_log)
    finally:
        EVENTS.removeHandler(slow)
        event_log.detach()
    seqs = [r["seq"] for r in records_of(tmp_path / "log.jsonl")]
    assert seqs == list(range(1, 501))


def test_a_second_close_waits_for_nothing():
    gate = Gate()
    EVENTS.addHandler(gate)
    try:
        stream = make_stream()
        stream.close_timeout = 0.05
        stream.event("mine", (1.5, 1))
        stream.close()
        stream.close_timeout = 1000
        begun = time.monotonic()
        stream.close()
        assert time.monotonic() - begun < 100
        assert settled(stream)["dropped"]["closed"] == 1
    finally:
        gate.opened.set()
        EVENTS.removeHandler(gate)
