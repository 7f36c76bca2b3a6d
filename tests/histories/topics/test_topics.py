from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from distributed import Client, Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.utils_test import gen_test

import leandask
from leandask import install
from leandask.histories.topics import packed
from leandask.histories.topics import topics as module
from leandask.histories.topics.topics import LeanTopics
from tests.helpers.schedulers import lean, lean_cluster


@gen_test()
async def test_a_topic_keeps_its_last_events_and_counts_all():
    async with lean(retention={"events": 3}) as s:
        for i in range(10):
            s.log_event("x", i)
        assert [msg for _, msg in s.get_events("x")] == [7, 8, 9]
        assert s._broker.topics["x"].count == 10
        assert repr(s._broker.topics["x"]) == "<LeanTopic 'x': 3/3, 10 published>"


@gen_test()
async def test_events_zero_keeps_nothing_and_null_keeps_all():
    async with lean(retention={"events": 0}) as s:
        s.log_event("x", 1)
        assert s.get_events("x") == ()
        assert s._broker.topics["x"].count == 1
    async with lean(retention={"events": None}) as s:
        for i in range(2000):
            s.log_event("x", i)
        assert len(s.get_events("x")) == 2000


@gen_test()
async def test_the_least_recently_used_topic_is_evicted_first():
    async with lean(retention={"topics": 3}) as s:
        for name in ("a", "b", "c", "a", "d"):
            s.log_event(name, name)
        assert set(s.get_events()) == {"c", "a", "d"}
        assert repr(s._broker.topics) == "<LeanTopics: 3/3, 4 seen>"


@gen_test()
async def test_a_topic_with_subscribers_is_never_evicted():
    async with lean(retention={"topics": 2}) as s:
        s.subscribe_topic("kept", "client-1")
        for i in range(10):
            s.log_event(f"other-{i}", i)
        assert set(s._broker.topics) == {"kept", "other-9"}
        s.subscribe_topic("kept-too", "client-1")
        s.log_event("new", 1)
        assert set(s._broker.topics) == {"kept", "kept-too", "new"}
        s.log_event("newer", 1)
        assert set(s._broker.topics) == {"kept", "kept-too", "newer"}


@gen_test()
async def test_an_event_reaches_all_its_topics_under_the_smallest_bound():
    async with lean(retention={"topics": 1}) as s:
        s.log_event(["a", "b"], "msg")
        assert list(s.get_events()) == ["b"]


@gen_test()
async def test_topics_of_one_event_share_its_timestamp():
    async with lean() as s:
        s.log_event(["a", "b"], "msg")
        assert s.get_events("a") == s.get_events("b")
        assert abs(s.get_events("a")[0][0] - time.time()) < 5


@gen_test()
async def test_reading_an_unknown_topic_does_not_create_it():
    async with lean() as s:
        before = list(s._broker.topics)
        assert s.get_events("unknown") == ()
        assert s._broker._topics["stealing"].count == 0  # as the dashboard reads
        s.unsubscribe_topic("unknown", "client-1")
        s._broker.truncate("unknown")
        assert list(s._broker.topics) == before


@gen_test()
async def test_truncate_removes_a_topic_unless_it_has_subscribers():
    async with lean() as s:
        for name in ("x", "y"):
            s.log_event(name, 1)
        s.subscribe_topic("y", "client-1")
        for name in ("x", "y"):
            s._broker.truncate(name)
            assert s.get_events(name) == ()
        assert "x" not in s._broker.topics
        s.log_event("y", 2)
        assert s._broker.topics["y"].count == 2
        s._broker.truncate()
        assert s.get_events() == {}
        assert s._broker.topics.nbytes == 0


@gen_test()
async def test_log_event_plugins_see_every_topic():
    async with lean() as s:
        seen = []

        class Plugin(SchedulerPlugin):
            def log_event(self, topic, msg):
                seen.append((topic, msg))

        s.add_plugin(Plugin(), name="mine")
        s.log_event(["a", "b"], 1)
        assert seen == [("a", 1), ("b", 1)]


@gen_test()
async def test_a_client_subscribes_and_leaves_no_subscription_behind():
    async with lean() as s:
        got: asyncio.Queue = asyncio.Queue()
        async with Client(s.address, asynchronous=True) as client:
            client.subscribe_topic("x", got.put_nowait)
            while not s._broker.topics["x"].subscribers:
                await asyncio.sleep(0.01)
            s.log_event("x", "hello")
            _, msg = await got.get()
            assert msg == "hello"
            client_id = client.id
            assert client_id in s._broker.topics["x"].subscribers
        while client_id in s.client_comms:
            await asyncio.sleep(0.01)
        assert not any(t.subscribers for t in s._broker.topics.values())


@pytest.mark.parametrize("topics", [1000, 2])
@gen_test()
async def test_install_moves_topics_counts_and_subscribers_over(topics):
    async with Scheduler(host="127.0.0.1", dashboard_address="127.0.0.1:0") as s:
        for i in range(200):
            s.log_event("x", i)
        s.log_event("y", 1)
        s.log_event("z", 1)
        s.subscribe_topic("x", "client-1")
        install(s, {"events": 5, "topics": topics})
        x = s._broker.topics["x"]
        assert [msg for _, msg in x.events] == [195, 196, 197, 198, 199]
        assert (x.count, x.subscribers) == (200, {"client-1"})
        assert ("y" in s._broker.topics) == (topics > 2)
        s.log_event("x", 200)
        assert x.count == 201


@gen_test()
async def test_a_thousand_topics_are_kept_of_any_number_of_names():
    async with lean() as s:
        for i in range(20_000):
            s.log_event(f"topic-{i}", i)
        assert len(s._broker.topics) == 1000
        assert s._broker.topics.seen >= 20_000


@gen_test()
async def test_under_a_very_long_name_events_are_kept_only_for_subscribers(collected):
    name = "x" * 100_000
    async with lean() as s:
        s.log_event(name, 1)
        assert (s._broker.topics, s._broker.topics.nbytes) == ({}, 0)
        assert s._broker.topics.published_gone == 1
        s.subscribe_topic(name, "client")
        s.log_event(name, 2)
        assert [msg for _, msg in s.get_events(name)] == [2]
    assert [r.topic[:512] for r in collected if r.event_name == "dask.event"] == [
        "x" * 512
    ] * 2


@gen_test()
async def test_events_are_bounded_by_their_bytes():
    async with lean(retention={"event-bytes": "100 kB", "events": 1000}) as s:
        s.log_event("calm", "stays")
        for i in range(2000):
            s.log_event("flood", {"i": i, "text": "x" * 500})
        topics = s._broker.topics
        assert topics.nbytes <= 100_000
        assert topics.nbytes == sum(topic.events.nbytes for topic in topics.values())
        assert [msg for _, msg in s.get_events("calm")] == ["stays"]
        assert s.get_events("flood")[-1][1]["i"] == 1999


@gen_test()
async def test_the_least_recently_used_topics_lose_their_events_first():
    async with lean(retention={"event-bytes": "100 kB"}) as s:
        s.subscribe_topic("topic-0", "client-1")
        for i in range(500):
            s.log_event(f"topic-{i}", {"i": i, "text": "x" * 500})
        topics = s._broker.topics
        assert topics.nbytes <= 100_000
        assert len(topics) < 200
        assert "topic-0" in topics
        assert "topic-1" not in topics
        assert len(s.get_events("topic-499")) == 1


@contextlib.contextmanager
def count_steps():
    """Count the steps of Python's interpreter in this thread."""
    steps, before = 0, sys.gettrace()

    def trace(frame, event, arg):
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        yield lambda: steps
    finally:
        sys.settrace(before)


def in_steps(method):
    """Have what a method iterates over take steps of Python."""
    return lambda *args: (each for each in method(*args))


@gen_test()
async def test_making_room_takes_no_more_steps_with_many_subscribed_topics(monkeypatch):
    steps = {}
    for name in ("__iter__", "keys", "values", "items"):
        monkeypatch.setattr(LeanTopics, name, in_steps(getattr(LeanTopics, name)))
    for number in (10, 1000):
        async with lean(retention={"event-bytes": "100 kB", "topics": None}) as s:
            topics = s._broker.topics
            for i in range(number):
                s.subscribe_topic(f"subscribed-{i}", "client-1")
            for i in range(400):
                s.log_event(f"topic-{i}", {"i": i, "text": "x" * 500})
            with count_steps() as counted:
                for i in range(30):
                    s.log_event(f"topic-{i}", {"i": i, "text": "x" * 500})
            assert topics.nbytes <= 100_000
            steps[number] = counted()
    assert 100 < steps[1000] < 1.2 * steps[10]


@gen_test()
async def test_topics_whose_events_are_gone_lose_none_for_others():
    async with lean(retention={"event-bytes": "100 kB"}) as s:
        for i in range(100):
            s.subscribe_topic(f"topic-{i}", "client-1")
        for i in [*range(100), *range(50)]:
            s.log_event(f"topic-{i}", {"i": i, "text": "x" * 500})
        s.log_event("topic-99", 1)
        for i in range(1000):
            s.log_event(f"new-{i}", {"i": i, "text": "x" * 500})
        topics = s._broker.topics
        kept = {name for name, topic in topics.items() if topic.events}
        assert all(name.startswith("new-") for name in kept)
        assert topics.nbytes == sum(topic.events.nbytes for topic in topics.values())
        assert {f"topic-{i}" for i in range(100)} <= topics.keys()


@gen_test()
async def test_a_huge_event_is_kept_shortened_and_sent_whole(collected):
    async with lean() as s:
        keys = {f"task-{i}" for i in range(10_000)}
        event = {"action": "remove-worker", "lost-computed-tasks": keys}
        s.log_event("small", 1)
        s.log_event("x", event)
        [(_, msg)] = s.get_events("x")
        assert msg["action"] == "remove-worker"
        assert 100 < len(msg["lost-computed-tasks"]) < 10_000
        assert msg["lost-computed-tasks"][-1].endswith("more")
        assert len(event["lost-computed-tasks"]) == 10_000
        assert s._broker.topics["x"].events.nbytes <= 2**20 / 16
        assert len(s.get_events("small")) == 1


@pytest.mark.parametrize("key", [lambda i: f"x-{i}", lambda i: ("x" * 40, i, 0)])
@pytest.mark.parametrize("count", [60, 200, 50_000])
@gen_test()
async def test_work_stealing_reads_its_moves_whatever_their_number(key, count):
    async with lean() as s:
        workers = "tcp://10.0.0.1:40000", "tcp://10.0.0.2:40000"
        moves = [
            (1, i % 15, key(i), 0.5, workers[0], 1.5, workers[1], 2.5)
            for i in range(count)
        ]
        s.log_event("stealing", ("request", moves))
        ((_, (kind, kept)),) = s.get_events("stealing")
        assert kind == "request"
        assert kept == moves[: len(kept)]
        assert len(kept) >= min(count, 100)
        assert s._broker.topics.nbytes <= 512 * 1024 // module.EVENT_BYTES_DIVISOR
        task = SimpleNamespace(key=key(3))
        assert s.extensions["stealing"].story(task) == [moves[3]]


@gen_test()
async def test_null_leaves_bytes_unbounded():
    async with lean(retention={"event-bytes": None}) as s:
        event = {"keys": list(range(100_000))}
        s.log_event("x", event)
        assert s.get_events("x")[0][1] is event


@gen_test()
async def test_an_empty_topic_is_small():
    async with lean() as s:
        s.log_event("warm-up", 1)
        s.stream.close()  # allocations of its thread must not count
        tracemalloc.start()
        for i in range(500):
            s.log_event(f"topic-{i}", 1)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size / 500 < 1200


@gen_test()
async def test_buffers_and_numbers_of_numpy_come_back_as_they_were():
    msg = {
        "loss": np.float64(0.25),
        "image": np.arange(3),
        "buffer": bytearray(b"x"),
        "view": memoryview(b"y"),
    }
    async with lean() as s:
        s.log_event("mine", msg)
        [(_, kept)] = s.get_events("mine")
    assert {name: type(value) for name, value in kept.items()} == {
        name: type(value) for name, value in msg.items()
    }
    assert kept["loss"] == 0.25
    assert kept["image"].tolist() == [0, 1, 2]


@gen_test()
async def test_an_exception_of_ours_does_not_reach_the_publisher(monkeypatch):
    def raise_anything(*args):
        raise RuntimeError("no")

    async with lean() as s:
        monkeypatch.setattr(module, "fit", raise_anything)
        s.log_event("mine", 1)
        assert s.get_events("mine") == ()
        assert s.stream.stats()["errors"] == 1


@gen_test()
async def test_events_added_to_a_topic_that_is_not_kept_harm_no_other():
    async with lean(retention={"event-bytes": "1 kB"}) as s:
        unknown = s._broker.topics["unknown"]
        for _ in range(100):
            unknown.events.append((0.0, "x" * 100))
        s.log_event("mine", 1)
        s.log_event("mine", 2)
        assert s.stream.stats()["errors"] == 0
        assert [msg for _, msg in s.get_events("mine")][-1:] == [2]


@gen_test()
async def test_a_topic_that_was_held_for_long_gets_the_present_bound():
    async with lean_cluster(retention={"events": None}) as (s, c):
        held = s._broker.topics["held"]
        await leandask.set_retention(c, events=2)
        for i in range(5):
            held.publish((0.0, i))
        assert [msg for _, msg in s.get_events("held")] == [3, 4]


@pytest.fixture
def packed_or_unpacked(monkeypatch):
    """The events that are packed or unpacked, in this order."""
    events = []

    def noting(function):
        def note(event, *args):
            events.append(event)
            return function(event, *args)

        return note

    monkeypatch.setattr(module, "fit", noting(module.fit))
    monkeypatch.setattr(packed, "unpack", noting(packed.unpack))
    return events


@gen_test()
async def test_new_bounds_evict_the_oldest_events_and_pack_none_again(
    packed_or_unpacked,
):
    async with lean_cluster(retention={"event-bytes": "200 kB"}) as (s, c):
        topics = s._broker.topics
        for i in range(400):
            s.log_event(f"topic-{i % 100}", {"i": i, "text": "x" * 500})
        before = topics.nbytes
        assert 190_000 < before <= 200_000
        packed_or_unpacked.clear()
        await leandask.set_retention(c, event_bytes="400 kB", events=500)
        assert topics.nbytes == before
        await leandask.set_retention(c, event_bytes="100 kB", events=3)
        assert packed_or_unpacked == []
        assert 99_000 < topics.nbytes <= 100_000
        assert topics.nbytes == sum(topic.events.nbytes for topic in topics.values())
        kept = sorted(m["i"] for topic in topics.values() for _, m in topic.events)
        # The least recently used topics lose theirs; the last ones have three.
        assert (kept[-1], kept[-2]) == (399, 398)
        assert [m["i"] for _, m in s.get_events("topic-99")] == [199, 299, 399]
        assert s.get_events("topic-0") == ()


@gen_test()
async def test_a_topic_with_most_of_the_events_loses_its_own_to_a_smaller_bound():
    async with lean_cluster(retention={"events": None}) as (s, c):
        s.log_event("calm", "stays")
        for i in range(500):
            s.log_event("flood", {"i": i, "text": "x" * 500})
        await leandask.set_retention(c, event_bytes="100 kB")
        assert s._broker.topics.nbytes <= 100_000
        assert [msg for _, msg in s.get_events("calm")] == ["stays"]
        assert s.get_events("flood")[-1][1]["i"] == 499


@gen_test()
async def test_an_event_too_large_for_a_smaller_bound_is_shortened_and_others_stay():
    async with lean_cluster(retention={"event-bytes": "16 MiB"}) as (s, c):
        for i in range(50):
            s.log_event("mine", {"i": i})
        s.log_event("mine", {"text": "x" * 900_000})
        await leandask.set_retention(c, event_bytes="256 KiB")
        *others, (_, last) = s.get_events("mine")
        assert [msg["i"] for _, msg in others] == [*range(50)]
        assert 0 < len(last["text"]) < 20_000


@gen_test()
async def test_events_that_were_not_measured_count_once_their_bytes_have_a_bound():
    async with lean_cluster(retention={"event-bytes": None}) as (s, c):
        topics = s._broker.topics
        s.log_event("mine", {"n": 1})
        await leandask.set_retention(c, event_bytes="100 kB")
        one = topics["mine"].events.nbytes
        await leandask.set_retention(c, event_bytes=None)
        s.log_event("mine", {"n": 2})
        assert topics["mine"].events.nbytes == one
        await leandask.set_retention(c, event_bytes="100 kB")
        assert topics["mine"].events.nbytes == 2 * one
        assert topics.nbytes == sum(topic.events.nbytes for topic in topics.values())
        assert [msg["n"] for _, msg in s.get_events("mine")] == [1, 2]
        await leandask.set_retention(c, event_bytes=0)
        assert (s.get_events("mine"), topics["mine"].count) == ((), 2)
