"""Faults of clients: the scheduler survives floods and hostile events."""

from __future__ import annotations

import json
import time

import pytest
from distributed import Client
from distributed.protocol import ToPickle
from distributed.utils_test import inc

from leandask import LogReader, get_report
from tests.helpers.logs import assert_no_gap
from tests.helpers.processes import PYTHON, Process, start_worker

MIB = 2**20
FLOOD = """
import asyncio, sys
from distributed import Client

async def flood(file, calls, per_call, name, nbytes):
    text = "x" * int(nbytes)
    async with Client(scheduler_file=file, asynchronous=True) as client:
        async def some(first):
            for i in range(first, int(calls), 8):
                topics = [name.format(i, n) for n in range(int(per_call))]
                await client.log_event(topics, {"call": i, "text": text})
        await asyncio.gather(*[some(first) for first in range(8)])

asyncio.run(flood(*sys.argv[1:]))
"""


def round_trips_until(client, process):
    """Seconds that each task of a client took until another process ended, sorted."""
    trips = []
    while process.poll() is None:
        begun = time.monotonic()
        assert client.submit(inc, len(trips)).result() == len(trips) + 1
        trips.append(time.monotonic() - begun)
    assert process.returncode == 0
    return sorted(trips)


def assert_every_loss_is_counted(log, scheduler):
    """Assert that each record missing in the log was counted; return their number."""
    assert scheduler.stop() == 0
    seqs = [r["seq"] for r in LogReader(log).records()]
    [end] = LogReader(log).records(event_name="dask.scheduler.stop")
    assert seqs[-1] == end["seq"] == end["records_total"] + 1
    assert len(set(seqs)) == len(seqs)
    assert seqs[-1] - len(seqs) == end["dropped_total"]
    return end["dropped_total"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("calls", [100, pytest.param(1000, marks=pytest.mark.nightly)])
def test_a_client_that_floods_takes_neither_memory_nor_time_from_others(
    start, tmp_path, calls
):
    log = tmp_path / "log.jsonl"
    scheduler, file = start(
        "--event-log",
        log,
        DASK_LEANDASK__EVENT_LOG__MAX_BYTES="None",
        DASK_LEANDASK__STREAM__RECORD_BYTES="2 kiB",
        DASK_LEANDASK__STREAM__QUEUE_BYTES="256 kiB",
    )
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:
        assert client.submit(inc, -1).result() == 0
        before = get_report(client)["memory"]["rss"]
        args = file, calls, 100, "flood", 10_000  # of 10 kB each
        with Process(tmp_path, "flood", PYTHON, "-c", FLOOD, *args) as flood:
            trips = round_trips_until(client, flood.popen)
        report = get_report(client)
        assert report["memory"]["rss_peak"] - before < 32 * MIB
        assert trips[len(trips) // 2] < 2
        assert report["histories"]["events"]["seen"] > calls * 100
        assert len(client.get_events("flood")) <= 100
    dropped = assert_every_loss_is_counted(log, scheduler)
    assert dropped > calls


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "number", [30_000, pytest.param(1_000_000, marks=pytest.mark.nightly)]
)
def test_topics_of_a_client_are_bounded_and_counted(start, tmp_path, number):
    # Without their records, which the test above covers and which take two thirds of
    # the time.
    _, file = start(DASK_LOGGING__LEANDASK="warning")
    with Client(scheduler_file=str(file)) as client:
        before = get_report(client)["memory"]["rss"]
        args = file, number // 500, 500, "flood-{}-{}", 0
        with Process(tmp_path, "flood", PYTHON, "-c", FLOOD, *args) as flood:
            assert flood.popen.wait(timeout=500) == 0
        report = get_report(client)
        topics, events = (report["histories"][name] for name in ("topics", "events"))
        assert topics["kept"] <= 1000
        assert topics["seen"] >= number
        assert events["seen"] >= number
        assert report["memory"]["rss_peak"] - before < 16 * MIB


FORGED = '\n{"seq":1,"logger":"leandask.events","topic":"forged","message":"!"}\n'
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\x00\x85\u2028\u2029\u202e"


def hostile_msgs():
    deep, cycle = [], []
    for _ in range(300):
        deep = [deep]
    cycle.append(cycle)
    # Not from this module, which the scheduler's process can not import.
    attributes = {"__repr__": lambda self: 1 / 0, "__module__": "__main__"}
    unprintable = type("Unprintable", (), attributes)()
    return {
        "deep": deep,
        "deep dict": ToPickle({"a": {"b": deep}}),
        "cycle": ToPickle({"cycle": cycle}),
        "huge": "x" * 20_000_000,
        "huge action": {"action": "x" * 1_000_000, "worker": ["x" * 1_000_000]},
        "forged": FORGED,
        "forged fields": dict.fromkeys(("action", "worker", "client"), FORGED),
        "forged names": {FORGED: FORGED, "seq": 1, "logger": "x", "topic": "forged"},
        "escapes": {"action": ESCAPES, ESCAPES: ESCAPES},
        "no numbers": [float("nan"), float("inf"), -float("inf"), {"x": float("nan")}],
        "large numbers": ToPickle([2**100, -(2**70), 10**5000]),
        "no text keys": {1: 1, "1": 2, (1, 2): 3, None: 4, 1.5: 6},
        "tuple keys": ToPickle({("x", 0): {("y", 1)}, frozenset({1}): 2}),
        "surrogates": ToPickle({"\ud800": "\udfff", "action": "\ud800"}),
        "bytes": [b"\xff\n", bytearray(b"\x00")],
        "unprintable": ToPickle({"action": unprintable, "worker": [unprintable]}),
        "none": None,
    }


def test_no_event_of_a_client_forges_a_line_or_stops_the_scheduler(start, tmp_path):
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--event-log", log, wait=False)
    msgs = hostile_msgs()
    with start_worker(tmp_path, file), Client(scheduler_file=str(file)) as client:

        def log_event(topic, msg):  # without the client's own check of the msg
            client.sync(client.scheduler.log_event, topic=topic, msg=msg)

        for name, msg in msgs.items():
            log_event(name, msg)
        for topic in (FORGED, ESCAPES, "x" * 1_000_000, ToPickle("\ud800")):
            log_event(topic, 1)
        for no_topic in ([{}], 5, None):
            with pytest.raises(TypeError):
                log_event(no_topic, 1)
        assert client.submit(inc, 1).result() == 2
    assert scheduler.stop() == 0
    lines = log.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) <= 16 * 1024
    records = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert_no_gap(records)
    topics = [r["topic"] for r in records if r["event_name"] == "dask.event"]
    assert set(msgs) <= set(topics) and len(topics) > len(msgs) + 4
    assert {FORGED, ESCAPES, "x" * 512 + "…", "\\ud800"} <= set(topics)
    assert topics.count("forged") == 1  # its own
    assert all(c.isprintable() or c == "\n" for c in scheduler.stderr)
    for line in scheduler.stderr.splitlines():
        assert "leandask.events" not in line or line.startswith("20")
