from __future__ import annotations

from distributed.scheduler import Transition

from leandask.histories.names import Limit
from leandask.histories.tasks.transitionlog import TransitionLog


def test_the_log_keeps_the_first_recommendations_and_streams_all():
    streamed = []
    log = TransitionLog((), 10, None, streamed.append)
    recommendations = {f"task-{i}": "waiting" for i in range(5000)}
    transition = Transition("x", "processing", "memory", recommendations, "s", 1.0)
    log.append(transition)
    assert streamed == [transition]
    [kept] = log
    assert kept == transition._replace(recommendations=kept.recommendations)
    assert len(kept.recommendations) == 1000
    assert kept.recommendations.items() < recommendations.items()


def test_long_keys_are_cut_in_the_log_alone():
    streamed = []
    log = TransitionLog((), 10, None, streamed.append)
    long = "x" * 100_000
    item = Transition((long, 0), "processing", "memory", {long: "waiting"}, long, 1.0)
    log.append(item)
    assert streamed == [item]
    [kept] = log
    assert kept.key == ("x" * 2048 + "...", "...")
    assert list(kept.recommendations) == [kept.stimulus_id] == ["x" * 2048 + "..."]
    assert kept[1:3] == item[1:3]
    assert 5800 < log.weight < 6000


def test_long_keys_take_the_place_of_other_transitions():
    log = TransitionLog((), 100, Limit(100 * 365, each=365), lambda item: None)
    for i in range(200):
        log.append(Transition(f"x-{i}", "processing", "memory", {}, "s", 1.0))
    assert (len(log), log.weight) == (100, 0)
    for _ in range(200):
        log.append(Transition("x" * 1000, "processing", "memory", {}, "s", 1.0))
        assert len(log) * 365 + log.weight <= 100 * 365
    assert len(log) == 100 * 365 // (365 + 921)
    for i in range(200):
        log.append(Transition(f"x-{i}", "processing", "memory", {}, "s", 1.0))
    assert (len(log), log.weight) == (100, 0)
    log = log.resized(10, Limit(3650, each=365))
    assert len(log) == 10
    log.clear()
    assert log.weight == 0


def test_a_long_key_in_a_recommendation_counts():
    log = TransitionLog((), 10, None, lambda item: None)
    for long in ("x" * 1000, ("x" * 1000, 0)):
        item = Transition("x", "processing", "memory", {"y": 1, long: 2}, "s", 1.0)
        log.append(item)
    assert log.weight == 2 * 921
