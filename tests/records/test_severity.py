from __future__ import annotations

import logging

import pytest

from leandask.records.schema import WORKER_LOG
from leandask.records.severity import (
    PROBLEM_ACTIONS,
    PROBLEM_SIGNS,
    PROBLEM_TOPICS,
    level_of,
)
from tests.helpers.paths import DOCS

CASES = {
    "could-not-retire": {},
    "no-workers-timeout-exceeded": {"keys": {"x"}},
    "p2p-failed": {},
    "remove-worker": {"expected": False},
    "scheduler-transition-failed": {"key": "x"},
    "task-given-up": {"key": "x"},
    "task-suspected": {"key": "x"},
    "update-graph": {"status": "error"},
    "worker-ttl-timed-out": {"workers": []},
}


@pytest.mark.parametrize("topic", sorted(PROBLEM_TOPICS))
def test_a_topic_of_problems_is_a_warning(topic):
    assert level_of(topic, {}) == logging.WARNING


@pytest.mark.parametrize("action", sorted({*PROBLEM_ACTIONS, *PROBLEM_SIGNS}))
def test_an_action_of_a_problem_is_a_warning(action):
    assert level_of("all", {"action": action} | CASES[action]) == logging.WARNING


@pytest.mark.parametrize(
    "msg",
    [
        {"action": "remove-worker", "expected": True},
        {"action": "remove-worker"},
        {"action": "update-graph", "status": "OK"},
        {"action": "add-worker"},
        {"action": ["unhashable"]},
        {},
        "remove-worker",
        None,
        ("request", 1),
    ],
)
def test_any_other_event_is_info(msg):
    assert level_of("all", msg) == logging.INFO


@pytest.mark.parametrize("name", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_a_line_of_a_worker_has_its_own_level(name):
    level = level_of(WORKER_LOG, {"level": name, "action": "p2p-failed"})
    assert level == getattr(logging, name)


@pytest.mark.parametrize("msg", [{}, {"level": ["ERROR"]}, {"level": "LOUD"}, None])
def test_a_line_without_a_standard_level_is_info(msg):
    assert level_of(WORKER_LOG, msg) == logging.INFO


def test_the_documentation_lists_all_problems():
    text = (DOCS / "records.md").read_text()
    table = text[text.index("## Levels") : text.index("## Loss")]
    for name in (*PROBLEM_TOPICS, *PROBLEM_ACTIONS, *PROBLEM_SIGNS):
        assert f"`{name}`" in table, name
