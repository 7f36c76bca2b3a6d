from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time

import dask
import pytest
from distributed.scheduler import Transition

from leandask import RecordStream, RotatingFileSink
from leandask.records import recordqueue
from leandask.records.loggers import EVENTS, TRANSITIONS
from leandask.records.recordqueue import Kind, RecordQueue
from tests.helpers.handlers import Gate, Raising, Slow
from tests.helpers.processes import wait_for

LOSS = "leandask.records-dropped"


def transition(i=0, finish="memory", **recommendations):
    return Transition(f"x-{i}", "processing", finish, recommendations, "s", 1.5)


@pytest.fixture
def make():
    """Make streams with settings, and close them."""
    made = []

    def make(intervals=None, **settings):
        keys = {f"leandask.stream.{k.replace('_', '-')}": settings[k] for k in settings}
        with dask.config.set(keys):
            id = f"Scheduler-{len(made)}"
            stream = RecordStream(id, lambda f: f(), **intervals or {})
        made.append(stream)
        return stream

    yield make
    for stream in made:
        stream.close()


@pytest.fixture
def gate():
    gate = Gate()
    for logger in (EVENTS, TRANSITIONS):
        logger.addHandler(gate)
    yield gate
    gate.opened.set()
    for logger in (EVENTS, TRANSITIONS):
        logger.removeHandler(gate)


def hold(stream, gate):
    """Have the thread block at the gate with one record, and an empty queue."""
    stream.life("test", "hold", {})
    stream.queue.wake.set()
    assert gate.entered.wait(30)
    assert len(stream.queue) == 0


def test_events_and_transitions_come_out_in_order(make, collected, all_transitions):
    stream = make()
    stream.event("mine", (1.5, {"action": "greet"}))
    stream.transition(transition(1))
    stream.event("mine", (2.5, "text"))
    stream.close()
    assert [r.seq for r in collected] == [1, 2, 3]
    assert [r.name for r in collected] == [EVENTS.name, TRANSITIONS.name, EVENTS.name]
    assert [r.created for r in collected] == [1.5, 1.5, 2.5]
    stats = stream.stats()
    assert (stats["emitted"], stats["written"], stats["queued"]) == (3, 3, 0)
    assert stats["queued_bytes"] == stats["errors"] == stats["restarts"] == 0


def test_a_msg_is_recorded_as_it_was(make, collected):
    msg = {"action": "x", "items": [1]}
    stream = make()
    stream.event("mine", (1.5, msg))
    msg["items"].append(2)
    stream.close()
    assert json.loads(collected[0].payload) == {"action": "x", "items": [1]}


def test_records_below_the_level_are_not_even_numbered(make, collected):
    stream = make()
    EVENTS.setLevel(logging.WARNING)
    try:
        stream.event("mine", (1.5, 1))
        stream.transition(transition())
        stream.life("x", "x", {})
        assert stream.stats()["emitted"] == 0
        assert not stream._drain.started
        stream.event("worker-fail-hard", (1.5, 1))
    finally:
        EVENTS.setLevel(logging.INFO)
    stream.close()
    assert [(r.seq, r.levelname) for r in collected] == [(1, "WARNING")]


def test_at_info_only_erred_transitions_come_out(make, collected):
    stream = make()
    before = TRANSITIONS.level
    TRANSITIONS.setLevel(logging.INFO)
    try:
        stream.transition(transition(1))
        stream.transition(transition(2, finish="erred"))
    finally:
        TRANSITIONS.setLevel(before)
    stream.close()
    assert [(r.task_key, r.levelname) for r in collected] == [("x-2", "INFO")]


@pytest.mark.parametrize("msg", [object(), {("x",): {1}}, b"\xff", float("nan"), 2**99])
def test_any_msg_is_accepted(make, collected, msg):
    stream = make()
    stream.event("mine", (1.5, msg))
    stream.event(("no", "str"), (1.5, msg))
    stream.close()
    assert [r.topic for r in collected] == ["mine", "('no', 'str')"]
    assert stream.stats()["errors"] == 0


def test_a_malformed_event_is_counted_and_raises_nothing(make):
    stream = make()
    stream.event("mine", None)
    assert stream.stats()["errors"] == 1


def test_a_full_queue_drops_and_leaves_gaps_in_the_numbers(make, collected, gate):
    stream = make(queue_length=10)
    hold(stream, gate)
    for i in range(20):
        stream.event("mine", (1.5, i))
    stats = stream.stats()
    assert (stats["emitted"], stats["queued"]) == (21, 9)
    assert stats["dropped"] == {
        "queue-length": 11,
        "queue-bytes": 0,
        "closed": 0,
        "failed": 0,
    }
    assert stats["dropped_kinds"] == {
        "event": 11,
        "transition": 0,
        "task": 0,
        "life": 0,
    }
    gate.opened.set()
    stream.close()
    events = [r for r in collected if r.event_name == "dask.event"]
    assert [r.seq for r in events] == list(range(2, 11))
    [loss] = [r for r in collected if r.event_name == LOSS]
    assert (loss.dropped_total, loss.dropped_since_last) == (11, 11)
    assert loss.levelname == "WARNING"
    assert "11 records were dropped" in loss.getMessage()
    assert loss.seq == 22


def test_records_that_a_client_causes_are_bounded_too(make, gate):
    stream = make(queue_length=10)
    hold(stream, gate)
    for _ in range(100):
        stream.life("leandask.retention-set", "set", {}, force=False)
    stats = stream.stats()
    assert stats["queued"] == 10
    assert stats["dropped_kinds"] == {
        "event": 0,
        "transition": 0,
        "task": 0,
        "life": 90,
    }
    stream.life("dask.scheduler.stop", "stopped", {})
    assert stream.stats()["queued"] == 11
    gate.opened.set()


def test_a_thread_that_can_not_start_is_counted(make, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    stream = make()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        stream.event("mine", (1.5, 1))
        stream.life("dask.scheduler.start", "started", {})
        assert stream.stats()["errors"] == 2
    stream.event("mine", (1.5, 2))
    stream.close()
    assert stream.stats()["written"] == 3


def test_room_is_kept_for_warnings(make, collected, gate):
    stream = make(queue_length=20)
    hold(stream, gate)
    for i in range(30):
        stream.event("mine", (1.5, i))
    assert len(stream.queue) == 18
    for _ in range(5):
        stream.event("worker-fail-hard", (1.5, "x"))
    assert len(stream.queue) == 20
    gate.opened.set()
    stream.close()
    assert sum(r.levelname == "WARNING" for r in collected) == 2 + 1


def test_bytes_are_bounded_too(make, gate):
    stream = make(queue_bytes="1 MiB")
    hold(stream, gate)
    for _ in range(2000):
        stream.event("mine", (1.5, "x" * 8000))
    stats = stream.stats()
    assert stats["queued_bytes"] <= 2**20
    assert stats["dropped"]["queue-bytes"] > 1900
    assert stats["queued"] < 100


def test_transitions_are_bounded_by_their_recommendations(make, gate, all_transitions):
    stream = make(queue_bytes="1 MiB")
    hold(stream, gate)
    many = {f"y-{i}": "processing" for i in range(5000)}
    for i in range(10):
        stream.transition(transition(i, **many))
    assert stream.stats()["dropped_kinds"]["transition"] == 9


def test_losses_are_reported_while_more_records_are_dropped(make, collected, tmp_path):
    slow, sink = (
        Slow(0.005),
        RotatingFileSink(tmp_path / "log.jsonl", flush_interval=0.01),
    )
    EVENTS.addHandler(slow)
    EVENTS.addHandler(sink)
    stream = make(queue_length=200)
    try:
        deadline = time.monotonic() + 30
        while not any(r.event_name == LOSS for r in collected):
            assert time.monotonic() < deadline
            while len(stream.queue) < 180:  # never empty, unless this thread pauses
                stream.event("mine", (1.5, 1))
            stream.event("mine", (1.5, 1))
        assert (tmp_path / "log.jsonl").stat().st_size > 0
        before = time.monotonic()
        stream.catch_up(30)
        assert time.monotonic() - before < 20
    finally:
        EVENTS.removeHandler(slow)
        EVENTS.removeHandler(sink)
        sink.close()


def test_block_waits_for_room(make, collected, gate):
    stream = make(queue_length=10, overflow="block", block_timeout="20s")
    hold(stream, gate)
    for i in range(9):
        stream.event("mine", (1.5, i))
    opener = threading.Timer(0.05, gate.opened.set)
    opener.start()
    stream.event("mine", (1.5, 9))
    opener.join()
    stream.close()
    assert stream.queue.n_dropped == 0
    assert [r.seq for r in collected] == list(range(1, 12))


@pytest.fixture
def clock(monkeypatch):
    """A clock of the queue that moves only as the queue waits."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(recordqueue, "time", clock)
    return clock


def test_block_times_out_only_once(make, gate, clock):
    stream = make(queue_length=10, overflow="block", block_timeout="50ms")
    hold(stream, gate)
    for i in range(200):
        stream.event("mine", (1.5, i))
    assert 0.05 <= clock.now < 0.1  # not 191 times as long
    assert stream.queue.dropped["queue-length"] == 191


def test_block_waits_again_once_there_was_room(clock):
    queue = RecordQueue(10, 10**6, block_timeout=0.05)
    kind = Kind("event", dict, EVENTS)

    def fill():
        for _ in range(30):
            queue.put(kind, None, 10)

    for n in (1, 2):
        fill()
        assert 0.05 * n <= clock.now < 0.1 * n
        queue.pop(10)


class Unflushable(RotatingFileSink):
    def flush_if_due(self):
        raise RuntimeError("no flush")

    flush = flush_if_due


def test_a_sink_that_cannot_be_flushed_does_not_stop_the_others(make, tmp_path, caplog):
    bad = Unflushable(tmp_path / "bad")
    good = RotatingFileSink(tmp_path / "log", flush_interval=0)
    EVENTS.addHandler(bad)
    EVENTS.addHandler(good)
    try:
        stream = make()
        stream.event("mine", (1.5, "x"))
        stream.close()
    finally:
        EVENTS.removeHandler(bad)
        EVENTS.removeHandler(good)
        good.close()
    assert good.lines_written == 1
    assert stream.stats()["errors"] >= 1
    assert stream.stats()["restarts"] == 0
    assert "no flush" in caplog.text


@pytest.fixture
def raising(request):
    handler = Raising(request.param)
    EVENTS.addHandler(handler)
    yield handler
    EVENTS.removeHandler(handler)


@pytest.mark.parametrize("raising", [ValueError("broken")], indirect=True)
def test_a_handler_that_raises_is_counted_and_reported_once(
    make, collected, raising, caplog
):
    stream = make()
    for i in range(10):
        stream.event("mine", (1.5, i))
    EVENTS.removeHandler(raising)
    stream.event("mine", (1.5, "after"))
    stream.close()
    stats = stream.stats()
    assert stats["written"] == 11
    assert stats["errors"] <= 10
    assert stats["restarts"] == 0
    reports = [r for r in caplog.records if "on their way to logging" in r.msg]
    assert len(reports) == (stats["errors"] > 0)


@pytest.mark.parametrize(
    "raising", [ValueError("broken"), SystemExit(), KeyboardInterrupt()], indirect=True
)
def test_handlers_after_one_that_raises_get_every_record(make, raising, collected):
    another = Raising(ValueError("another"))
    EVENTS.addHandler(another)
    collector, last = EVENTS.handlers[-2], type(EVENTS.handlers[-2])()
    EVENTS.addHandler(last)
    try:
        stream = make()
        for i in range(100):
            stream.event("mine", (1.5, i))
        stream.close()
    finally:
        EVENTS.removeHandler(another)
        EVENTS.removeHandler(last)
    for handler in (collector, last):
        assert [json.loads(r.payload) for r in handler.records] == list(range(100))
    stats = stream.stats()
    assert (stats["errors"], stats["written"], stats["restarts"]) == (200, 100, 0)


class EndingSink(RotatingFileSink):
    """Ends the thread that asks it to write, once."""

    ended = False

    def flush_if_due(self):
        if not self.ended:
            self.ended = True
            raise SystemExit


def test_the_thread_survives_anything_that_a_sink_raises(make, collected, tmp_path):
    sink = EndingSink(tmp_path / "log")
    EVENTS.addHandler(sink)
    try:
        stream = make()
        stream.event("mine", (1.5, 1))
        wait_for(lambda: stream.stats()["restarts"])
        stream.event("mine", (1.5, 2))
        stream.close()
    finally:
        EVENTS.removeHandler(sink)
        sink.close()
    assert [json.loads(r.payload) for r in collected] == [1, 2]
    assert stream.stats()["restarts"] == 1


def test_a_filter_that_raises_is_counted(make, collected):
    def broken(record):
        raise ValueError("broken")

    EVENTS.addFilter(broken)
    try:
        stream = make()
        stream.event("mine", (1.5, 1))
        stream.close()
    finally:
        EVENTS.removeFilter(broken)
    stats = stream.stats()
    assert (stats["errors"], collected) == (1, [])
    assert (stats["emitted"], stats["written"]) == (1, 0)
    assert stats["dropped"]["failed"] == stats["dropped_kinds"]["event"] == 1


def test_losses_are_reported_once_in_an_interval(make, collected, gate):
    stream = make({"report_interval": 3600.0}, queue_length=2)
    hold(stream, gate)
    for _ in range(3):
        for i in range(5):
            stream.event("mine", (1.5, i))
    gate.opened.set()
    wait_for(lambda: not stream.queue and any(r.event_name == LOSS for r in collected))
    for i in range(50):  # some more, within the interval
        stream.event("mine", (1.5, "x" * 10_000_000 if i else 0))
    stream.close()
    losses = [r for r in collected if r.event_name == LOSS]
    assert len(losses) <= 2
    assert losses[-1].dropped_total == stream.queue.n_dropped


def test_a_warning_wakes_the_thread(make, collected):
    stream = make({"poll_intervals": (60.0, 60.0)})
    stream.event("mine", (1.5, 1))
    stream.event("worker-fail-hard", (1.5, 2))
    wait_for(lambda: len(collected) == 2)


def test_close_gives_up_at_its_deadline_and_counts(make, gate, caplog):
    stream = make(close_timeout="50ms")
    hold(stream, gate)
    for i in range(5):
        stream.event("mine", (1.5, i))
    stream.close()
    # The record in the handler's hands is one of them.
    assert stream.queue.dropped["closed"] == 6
    assert "6 records are lost: logging did not take them within 0.05 s" in caplog.text
    stream.event("mine", (1.5, "late"))
    stream.close()  # nothing more to wait for
    assert stream.queue.dropped["closed"] == 7


def test_records_dropped_by_closing_are_counted_by_kind(make, gate, all_transitions):
    stream = make(close_timeout=0)
    hold(stream, gate)
    stream.event("mine", (1.5, 1))
    stream.life("test", "waits", {})
    for i in range(3):
        stream.transition(transition(i))
    stream.close()
    stats = stream.stats()
    assert stats["dropped_kinds"] == {"event": 1, "transition": 3, "task": 0, "life": 2}
    assert stats["dropped"]["closed"] == 6
    assert (stats["queued"], stats["queued_bytes"]) == (0, 0)


def test_aclose_leaves_the_event_loop_free(make, gate):
    async def main():
        stream = make(close_timeout="20s")
        hold(stream, gate)

        async def open_gate():
            for _ in range(10):
                await asyncio.sleep(0)
            gate.opened.set()

        task = asyncio.create_task(open_gate())
        await stream.aclose()
        await task
        return stream.stats()["dropped"]["closed"]

    assert asyncio.run(main()) == 0  # it has waited, and the gate could be opened


def test_a_slow_handler_does_not_slow_the_emitting_thread(make, gate, all_transitions):
    stream = make()
    hold(stream, gate)
    for i in range(5000):
        stream.transition(transition(i))
    assert len(stream.queue) == 5000  # the handler still has the first one


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_leaves_the_records_to_the_parent(make, collected):
    stream = make()
    stream.event("mine", (1.5, "parent"))
    child = os.fork()
    if child == 0:
        stream.event("mine", (1.5, "child"))
        stream.close()
        ok = not collected or all("child" not in r.payload for r in collected)
        os._exit(0 if ok and stream.queue.dropped["closed"] == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    stream.close()
    assert [json.loads(r.payload) for r in collected] == ["parent"]


def test_it_shows_its_fill(make):
    assert repr(make(queue_length=5)) == (
        "<RecordStream: <RecordQueue: 0/5, 0 emitted, 0 dropped>>"
    )
